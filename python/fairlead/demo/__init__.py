"""`fairlead demo`: the whole path, from data to a served and logged endpoint, in chapters that tell what they do.

`chapters` is the story; `payments` and `table` give its material, `prototype` the model, `server` and `traffic` run
beside it as processes of their own, `account` compares what came back with the truth and the log, `summary` shows it.
"""
