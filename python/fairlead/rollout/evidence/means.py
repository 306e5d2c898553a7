"""Means of bounded outcomes: accuracy, score, cost with a cap.

Betting: a gambler who bets against `the mean is m` grows rich only if it is not. Source: Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", JRSSB 2024. It uses the order of observations and is not
mergeable: give it unit means in order of exposure. The effect between arms: inverse-propensity differences under a
gamma-exponential mixture, Howard et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fairlead.rollout.evidence.arguments import Floats, numbers, positive, probability, require
from fairlead.rollout.evidence.bernoulli import Interval
from fairlead.rollout.evidence.mixtures import GammaExponentialMixture, bound

_GRID = 1_001
_CAP = 0.5
"""Largest share of the capital that is staked: at 1 one unlucky unit would ruin the gambler for ever."""


def bets(outcomes: ArrayLike, alpha: float) -> Floats:
    """The stake before each outcome, from those before it: the predictable plug-in of Waudby-Smith and Ramdas."""
    x = _unit_interval(outcomes)
    step = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (step + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (step + 1)
    before = np.concatenate([[0.25], variance[:-1]])
    stake = np.sqrt(2 * np.log(2 / probability("alpha", alpha)) / (before * step * np.log(step + 1)))
    return np.asarray(stake, dtype=np.float64)


def capital_log(outcomes: ArrayLike, mean: float, alpha: float) -> Floats:
    """The logarithm of the capital after each outcome in [0, 1] of the two gamblers, one for higher and one for
    lower, against `mean`.

    An e-process for `every outcome has this mean, given those before`; `alpha` only sets how boldly they bet.
    """
    x = _unit_interval(outcomes)
    probability("mean", mean)
    stake = bets(x, alpha)
    up = np.cumsum(np.log1p(np.minimum(stake, _CAP / mean) * (x - mean)))
    down = np.cumsum(np.log1p(-np.minimum(stake, _CAP / (1 - mean)) * (x - mean)))
    return np.asarray(np.logaddexp(up, down) - np.log(2), dtype=np.float64)


def mean_interval(outcomes: ArrayLike, alpha: float) -> Interval:
    """The means that outcomes in [0, 1] have not refuted at any look so far, at level `alpha`; to within a
    thousandth.
    """
    x = _unit_interval(outcomes)
    grid = np.linspace(0, 1, _GRID)
    threshold = -np.log(probability("alpha", alpha))
    alive = [m for m in grid[1:-1] if x.size == 0 or capital_log(x, float(m), alpha).max() < threshold]
    width = 1 / (_GRID - 1)
    if not alive:
        return Interval(float(np.mean(x)), float(np.mean(x)))
    return Interval(max(0.0, float(alive[0]) - width), min(1.0, float(alive[-1]) + width))


@dataclass(frozen=True, slots=True)
class Effects:
    """How outcomes are weighed: bounds of an outcome, its expected variance, and the unit at which to be tightest."""

    propensity: float
    """The probability with which a unit was given to the challenger."""
    low: float = 0.0
    high: float = 1.0
    variance: float = 0.25
    n_opt: float = 1_000

    def __post_init__(self) -> None:
        probability("propensity", self.propensity)
        require(self.low < self.high, "high", f"above low ({self.low})", self.high)
        positive("variance", self.variance)
        positive("n_opt", self.n_opt)

    @property
    def mixture(self) -> GammaExponentialMixture:
        """The mixture for one side, at half of 5 %."""
        p = self.propensity
        scale = 2 * (self.high - self.low) / min(p, 1 - p)
        return GammaExponentialMixture(self.n_opt * self.variance * (1 / p + 1 / (1 - p)), scale, alpha_opt=0.025)

    def sums(self, outcomes: ArrayLike, challenger: ArrayLike) -> tuple[Floats, Floats]:
        """S and V after each unit: the summed estimates of challenger minus champion, and of their squared
        surprises.
        """
        y, arm = numbers("outcomes", outcomes), numbers("challenger", challenger)
        require(y.shape == arm.shape and y.ndim == 1, "challenger", f"shape {y.shape}", arm.shape)
        inside = ((y >= self.low) & (y <= self.high)).all()
        require(bool(inside), "outcomes", f"from {self.low} to {self.high}", (y.min(), y.max()) if y.size else None)
        p, middle = self.propensity, (self.low + self.high) / 2
        one, zero = _means_before(y, arm == 1, middle), _means_before(y, arm == 0, middle)
        expected = one - zero
        surprise = (arm - p) / (p * (1 - p)) * (y - np.where(arm == 1, one, zero))
        return np.cumsum(expected + surprise), np.cumsum(surprise**2)

    def log_e(self, outcomes: ArrayLike, challenger: ArrayLike) -> Floats:
        """The logarithm of the evidence after each unit that the challenger's mean is higher than the champion's."""
        s, v = self.sums(outcomes, challenger)
        return self.mixture.log_e(s, v)

    def interval(self, outcomes: ArrayLike, challenger: ArrayLike, alpha: float) -> Interval:
        """The mean difference, challenger minus champion, at level `alpha` (both sides)."""
        s, v = self.sums(outcomes, challenger)
        require(s.size > 0, "outcomes", "one unit or more", "none")
        radius = bound(self.mixture, max(float(v[-1]), 1e-12), probability("alpha", alpha) / 2) / len(s)
        centre, widest = float(s[-1]) / len(s), self.high - self.low
        return Interval(max(-widest, centre - radius), min(widest, centre + radius))


def _unit_interval(outcomes: ArrayLike) -> Floats:
    x = numbers("outcomes", outcomes)
    require(x.ndim == 1, "outcomes", "one axis", f"shape {x.shape}")
    require(bool(((x >= 0) & (x <= 1)).all()), "outcomes", "from 0 to 1", (x.min(), x.max()) if x.size else None)
    return x


def _means_before(y: Floats, chosen: np.ndarray, default: float) -> Floats:
    """Mean of the chosen outcomes before each unit; `default` before the first unit, 0 until one was chosen."""
    means = np.cumsum(y * chosen) / np.maximum(1, np.cumsum(chosen))
    return np.concatenate([[default], means[:-1]])[: len(y)]
