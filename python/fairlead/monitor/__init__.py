"""Find out what changed, and how much it matters: values in, values out, no I/O, no clock, no randomness.

| module | promises |
| --- | --- |
| `distances`, `bins` | drift measures of counts on the same cells; where the cells' edges lie |
| `samples` | drift measures that need every value |
| `shift` | the size of a shift, its interval, verdict and severity |
| `pairs` | a column of both tables, ready to be compared |
| `conventions` | whose bins, measures and thresholds decide |
| `quality` | what is wrong with a column apart from drift |
| `performance` | metrics where there are targets |
| `comparison` | all of it for two tables |
| `page` | a comparison as a page that needs nothing else |
| `sequential` | drift of live traffic, looked for at every tick, with a stated false-alarm rate |
| `estimated` | how well the model does before labels are known |
"""
