"""Closed-form bounds of the rate of the iterated logarithm, and the band around a whole distribution function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from fairlead.rollout.evidence.arguments import Floats, numbers, positive, probability, require


@dataclass(frozen=True, slots=True)
class Stitching:
    """Bound on a sub-gamma sum of scale `c` for all V: Howard et al. 2021, theorem 1.

    `v_min` is the V from which on it is tight; `eta` and `s` space the epochs that are stitched.
    """

    v_min: float
    c: float = 0.0
    s: float = 1.4
    eta: float = 2.0

    def bound(self, v: float, alpha: float) -> float:
        """S stays below this at every `v`, with probability 1 - `alpha`."""
        used = max(v, positive("v_min", self.v_min))
        width, tilt = _spread(self.eta)
        level = self.s * np.log(np.log(self.eta * used / self.v_min)) - np.log(probability("alpha", alpha))
        level += np.log(special.zeta(self.s) / np.log(self.eta) ** self.s)
        skew = tilt * self.c * level
        return float(np.sqrt(width**2 * used * level + skew**2) + skew)


@dataclass(frozen=True, slots=True)
class DoubleStitching:
    """Bound on how far the empirical distribution strays at a quantile, for all quantiles and times at once.

    Source: Howard and Ramdas, "Sequential estimation of quantiles", Bernoulli 2022, theorem 3.
    """

    t_opt: float
    delta: float = 0.5
    s: float = 1.4
    eta: float = 2.0

    def bound(self, quantile: float, t: float, alpha: float) -> float:
        """In observations: the count below the `quantile` exceeds its mean at `t` by less than this."""
        probability("quantile", quantile)
        used = max(t, positive("t_opt", self.t_opt))
        logit = float(special.logit(quantile))
        shifted = special.expit(logit + 2 * self.delta * np.sqrt(self.t_opt * self.eta / used))
        r = quantile if quantile >= 0.5 else min(0.5, float(shifted))
        variance = r * (1 - r)
        zeta = special.zeta(self.s)
        level = self.s * np.log(np.log(self.eta * used / self.t_opt))
        level += self.s * np.log(np.sqrt(used / self.t_opt) * abs(logit) / (2 * self.delta) + 1)
        level += np.log(2 * zeta * (2 * zeta + 1) / (probability("alpha", alpha) * np.log(self.eta) ** self.s))
        width, tilt = _spread(self.eta)
        skew = tilt * (1 - 2 * quantile) / 3 * level
        step = self.delta * np.sqrt(self.eta * used * variance / self.t_opt)
        return float(step + np.sqrt(width**2 * variance * used * level + skew**2) + skew)


def iterated_logarithm_radius(t: ArrayLike, alpha: float) -> Floats:
    """Radius of a confidence sequence for a 1-sub-Gaussian mean after `t` observations, with nothing to tune.

    Source: Howard et al. 2021, equation 2.
    """
    t = numbers("t", t)
    require(bool((t >= 1).all()), "t", "at least 1", t.min() if t.size else None)
    level = 0.72 * np.log(10.4 / probability("alpha", alpha))
    return np.asarray(1.7 * np.sqrt((np.log(np.log(2 * t)) + level) / t), dtype=np.float64)


def empirical_process_radius(t: ArrayLike, alpha: float, t_min: float, a: float = 0.85) -> Floats:
    """Half width of a band around an empirical distribution function of `t` observations that holds for all t >=
    `t_min`.

    Infinity before `t_min`. Source: Howard and Ramdas 2022, theorem 2; the constant that belongs to `a` and `alpha` is
    solved for, not looked up.
    """
    t = numbers("t", t)
    require(t_min >= 1, "t_min", "at least 1", t_min)
    require(a > np.sqrt(0.5), "a", "above 1 / sqrt(2)", a)
    constant = _process_constant(probability("alpha", alpha), a)
    used = np.maximum(t, t_min)
    radius = a * np.sqrt((np.log1p(np.log(used / t_min)) + constant) / used)
    return np.asarray(np.where(t < t_min, np.inf, radius), dtype=np.float64)


def _spread(eta: float) -> tuple[float, float]:
    require(eta > 1, "eta", "above 1", eta)
    return float((eta**0.25 + eta**-0.25) / np.sqrt(2)), float((np.sqrt(eta) + 1) / 2)


@lru_cache(maxsize=256)
def _process_constant(alpha: float, a: float) -> float:
    """The smallest C for which some spacing eta keeps the error below `alpha`."""

    def error(eta: float, constant: float) -> float:
        gamma = 2 / eta * (a - np.sqrt(2 * (eta - 1) / constant)) ** 2
        if gamma <= 1:
            return 1e6
        return float(4 * np.exp(-gamma * constant) * (1 + 1 / ((gamma - 1) * np.log(eta))))

    def least_error(constant: float) -> float:
        def slack(eta: float) -> float:
            return float(np.sqrt(eta / 2) + np.sqrt(2 * (eta - 1) / constant) - a)

        highest = optimize.brentq(slack, 1.0, 2 * a * a)
        found = optimize.minimize_scalar(
            error, bounds=(1.0 + 1e-12, highest), args=(constant,), method="bounded", options={"xatol": 1e-12}
        )
        return float(np.log(max(found.fun, 1e-300)) - np.log(alpha))

    return float(optimize.brentq(least_error, 1.0, 2_000.0, xtol=1e-10))
