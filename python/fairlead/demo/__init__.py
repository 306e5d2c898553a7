"""`fairlead demo`: the whole path, from data to a served and logged endpoint, in chapters that tell what they do.

`chapters` is the story; `payments` and `table` give its material, `prototype` the model, `server` and `traffic` run
beside it as processes of their own, `account` compares what came back with the truth and the log, `summary` shows it.

Its second part is `delivery`: `challengers` are made, both planes (`planes`) serve under steady traffic (`stream`, a
process of its own, and `flow`, our end of it), and versions come and go: `trials` by themselves, `switching` at once.
`plans` has the documents, `moves` reads what was decided, `delivered` is its part of the summary.
"""
