"""Mixture martingales: evidence from a sum S whose variance process V is known, valid at every look.

Each is the integral of exp(lambda S - psi(lambda) V) over a prior on lambda; by Ville's inequality its value exceeds
1 / alpha with probability at most alpha, ever. Source: Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform,
nonparametric, nonasymptotic confidence sequences", Annals of Statistics 2021, propositions 5 to 9.

`v_opt` is the V at which a bound should be tightest, at level `alpha_opt`: it moves power about, never validity.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from fairlead.rollout.evidence.arguments import Floats, numbers, positive, probability, require
from fairlead.rollout.evidence.log_space import log_gamma_lower, log_gamma_upper, log_incomplete_beta


class Mixture(Protocol):
    """Evidence against `the mean of S is at most 0` (or, two-sided, `is 0`)."""

    def log_e(self, s: ArrayLike, v: ArrayLike) -> Floats:
        """The logarithm of the e-value at sum `s` and variance process `v`; the two broadcast."""

    def largest(self, v: float) -> float:
        """The largest `s` possible at `v`; infinity where there is none."""


def bound(mixture: Mixture, v: float, alpha: float) -> float:
    """The `s` at which the e-value reaches 1 / `alpha`: S stays below it for ever with probability 1 - `alpha`."""
    positive("v", v)
    threshold = -float(np.log(probability("alpha", alpha)))
    high = mixture.largest(v)
    if high == inf:
        high = v
        while mixture.log_e(high, v) <= threshold:
            high *= 2
    if mixture.log_e(high, v) < threshold:
        return high

    def gap(s: float) -> float:
        return float(mixture.log_e(s, v)) - threshold

    return float(optimize.brentq(gap, 0.0, high, xtol=1e-12 * max(1.0, high), rtol=1e-14))


@dataclass(frozen=True, slots=True)
class NormalMixture:
    """Sub-Gaussian sums; two-sided, or one-sided with a half-normal prior."""

    v_opt: float
    alpha_opt: float = 0.05
    one_sided: bool = True

    @property
    def rho(self) -> float:
        """The prior's precision."""
        return best_rho(self.v_opt, self.alpha_opt, one_sided=self.one_sided)

    def log_e(self, s: ArrayLike, v: ArrayLike) -> Floats:
        """As `Mixture.log_e`."""
        s, v = numbers("s", s), numbers("v", v)
        rho = self.rho
        value = 0.5 * np.log(rho / (v + rho)) + s * s / (2 * (v + rho))
        if self.one_sided:
            value = value + np.log(2) + special.log_ndtr(s / np.sqrt(v + rho))
        return np.asarray(value, dtype=np.float64)

    def largest(self, v: float) -> float:  # noqa: ARG002  the protocol's argument
        """Infinity."""
        return inf


@dataclass(frozen=True, slots=True)
class GammaExponentialMixture:
    """Sub-exponential sums with scale `c`: averages that are bounded on one side, martingale differences."""

    v_opt: float
    c: float
    alpha_opt: float = 0.05

    def log_e(self, s: ArrayLike, v: ArrayLike) -> Floats:
        """As `Mixture.log_e`."""
        s, v = numbers("s", s), numbers("v", v)
        square = positive("c", self.c) ** 2
        rho = best_rho(self.v_opt, self.alpha_opt) / square
        constant = rho * np.log(rho) - special.gammaln(rho) - log_gamma_lower(rho, rho)
        moved = (self.c * s + v) / square
        # Below -(v + rho) / c the sum is impossible under any prior mass: the evidence there is nil.
        place = np.maximum(moved + rho, 1e-300)
        shape = v / square + rho
        value = constant + special.gammaln(shape) + log_gamma_lower(shape, place) - shape * np.log(place) + moved
        return np.asarray(value, dtype=np.float64)

    def largest(self, v: float) -> float:  # noqa: ARG002  the protocol's argument
        """Infinity."""
        return inf


@dataclass(frozen=True, slots=True)
class GammaPoissonMixture:
    """Sub-Poisson sums with scale `c`: increments of at most `c`."""

    v_opt: float
    c: float
    alpha_opt: float = 0.05

    def log_e(self, s: ArrayLike, v: ArrayLike) -> Floats:
        """As `Mixture.log_e`."""
        s, v = numbers("s", s), numbers("v", v)
        square = positive("c", self.c) ** 2
        rho = best_rho(self.v_opt, self.alpha_opt) / square
        constant = rho * np.log(rho) - special.gammaln(rho) - log_gamma_upper(rho, rho)
        scale = v / square + rho
        shape = np.maximum(s / self.c + scale, 1e-300)
        value = constant + special.gammaln(shape) + log_gamma_upper(shape, scale) - shape * np.log(scale) + v / square
        return np.asarray(value, dtype=np.float64)

    def largest(self, v: float) -> float:  # noqa: ARG002  the protocol's argument
        """Infinity."""
        return inf


@dataclass(frozen=True, slots=True)
class BetaBinomialMixture:
    """Sums of increments in [-`g`, `h`]; with g = p, h = 1 - p and V = p (1 - p) n, exact for coins of bias p."""

    v_opt: float
    g: float
    h: float
    alpha_opt: float = 0.05
    one_sided: bool = True

    def log_e(self, s: ArrayLike, v: ArrayLike) -> Floats:
        """As `Mixture.log_e`; `s` from -v / h to v / g."""
        s, v = numbers("s", s), numbers("v", v)
        g, h = positive("g", self.g), positive("h", self.h)
        span = g + h
        rho = best_rho(self.v_opt, self.alpha_opt, one_sided=self.one_sided)
        r = max(rho - g * h, 1e-3 * g * h)
        edge = h / span if self.one_sided else 1.0
        # `down` and `up` count steps of -g and of h; a rounding error below none is none.
        down, up = np.maximum(v - g * s, 0) / (g * span), np.maximum(v + h * s, 0) / (h * span)
        value = (
            v / (g * h) * np.log(span)
            - up * np.log(g)
            - down * np.log(h)
            + log_incomplete_beta(r / (g * span) + down, r / (h * span) + up, edge)
            - log_incomplete_beta(r / (g * span), r / (h * span), edge)
        )
        return np.asarray(value, dtype=np.float64)

    def largest(self, v: float) -> float:
        """All steps upwards."""
        return v / self.g


def best_rho(v_opt: float, alpha_opt: float, *, one_sided: bool = True) -> float:
    """The prior precision that makes the bound at `v_opt` tightest, at level `alpha_opt`."""
    alpha = (2 if one_sided else 1) * probability("alpha_opt", alpha_opt)
    require(alpha < 1, "alpha_opt", "below 0.5 for a one-sided mixture", alpha_opt)
    return float(positive("v_opt", v_opt) / (-2 * np.log(alpha) + np.log1p(-2 * np.log(alpha))))
