"""Online detection of drift, from counts per tick, with one promise for each endpoint: at most one false alarm per N
requests.

| module | answers |
| --- | --- |
| `streams` | what is watched: a feature, the scores, the decisions, as counts in cells, beside the reference's |
| `limits` | how far the truth may be from a finite reference, and from the tolerance around it |
| `bets` | against which changes to bet, at odds that no tolerable traffic can beat |
| `detector` | one tick: evidence of all streams together, and whether it suffices for an alarm |
| `history` | counts of the time that an alarm may be about, in bounded memory |
| `localise` | which streams and cells an alarm comes from, since when, and how large the change is |
| `state` | what is kept between ticks, to a document and back |

Evidence is an *e-detector*: a process whose mean, while nothing has drifted, is at most the number of requests so far.
It is kept as its logarithm. Source: Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential
change detection", New England Journal of Statistics in Data Science 2023 (arXiv 2203.03532).
"""
