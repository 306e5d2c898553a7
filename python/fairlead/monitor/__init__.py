"""What is known of live traffic: values in, values out, no I/O, no clock, no randomness.

| module | answers |
| --- | --- |
| `sequential` | has the traffic drifted away from the reference? asked at every tick, with a stated false-alarm rate |
| `estimated` | how well does the model do, before labels are known? |
"""
