"""The statistics of rollouts: pure functions of counts, valid at every look.

| module | answers |
| --- | --- |
| `shares` | does the router split as it was told? |
| `ramp` | are bad outcomes more frequent, or surely not, while weights change? |
| `paired` | the same for shadow traffic, on the answers that differ |
| `labels` | the same for outcomes that are known weeks later |
| `quantile` | is the p99 worse, or surely not? |
| `distribution` | did the distribution of scores shift? |
| `means` | bounded means, and their difference between arms |
| `several` | many guardrails, many slices |
| `planning` | how many units and hours will it take? (`crossing`: exact stopping times) |
| `spending`, `asymptotic` | group-sequential bounds and asymptotic intervals, to compare with |
| `mixtures`, `stitching`, `bernoulli`, `log_space`, `arguments` | what the above are made of |

Evidence is an *e-value*, kept as its logarithm: under the null hypothesis it exceeds 1 / alpha with probability at
most alpha, however often one looks. Evidence of independent sources is added (as logarithms), never compared look by
look.
"""
