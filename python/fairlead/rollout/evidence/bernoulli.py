"""A share: the confidence sequence for one coin's bias."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from scipy import optimize

from fairlead.rollout.evidence.arguments import positive, probability, require
from fairlead.rollout.evidence.mixtures import BetaBinomialMixture


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval; where it came from a confidence sequence it holds at every look."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def bernoulli_interval(successes: float, trials: float, alpha: float, t_opt: float) -> Interval:
    """The biases that `successes` of `trials` do not refute at level `alpha`, whenever one looks.

    `t_opt` is the number of trials at which the interval should be tightest. Source: Howard and Ramdas 2022, with the
    two-sided beta-binomial mixture.
    """
    require(trials >= 1, "trials", "at least 1", trials)
    require(0 <= successes <= trials, "successes", f"from 0 to trials ({trials})", successes)
    probability("alpha", alpha)
    positive("t_opt", t_opt)
    observed = successes / trials

    def excess(p: float) -> float:
        mixture = BetaBinomialMixture(p * (1 - p) * t_opt, p, 1 - p, one_sided=False)
        return float(mixture.log_e((observed - p) * trials, p * (1 - p) * trials)) - threshold

    threshold = -log(alpha)
    edge = 1e-9
    start = min(max(observed, edge), 1 - edge)
    low = optimize.brentq(excess, edge, start) if observed > edge and excess(edge) > 0 else 0.0
    high = optimize.brentq(excess, start, 1 - edge) if observed < 1 - edge and excess(1 - edge) > 0 else 1.0
    return Interval(float(low), float(high))
