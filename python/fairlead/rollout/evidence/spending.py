"""Group-sequential bounds by error spending: stronger than anytime evidence where the last look is known beforehand.

Source: Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 1983, with the
O'Brien-Fleming-type function; boundary crossing by the recursion of Armitage, McPherson and Rowe (JRSS A 1969).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from fairlead.rollout.evidence.arguments import Floats, numbers, probability, require

_POINTS = 301
_REACH = 9.0
"""Standard deviations beyond which the density of a statistic is taken to be 0."""


def obrien_fleming_spent(information: ArrayLike, alpha: float) -> Floats:
    """How much of `alpha` (one side) may be spent at each fraction of the final information, in (0, 1]."""
    fraction = numbers("information", information)
    require(bool(((fraction > 0) & (fraction <= 1)).all()), "information", "fractions above 0, at most 1", fraction)
    quantile = special.ndtri(1 - probability("alpha", alpha) / 2)
    return np.asarray(2 * special.ndtr(-quantile / np.sqrt(fraction)), dtype=np.float64)


def obrien_fleming_bounds(information: ArrayLike, alpha: float, *, two_sided: bool = False) -> Floats:
    """The z that each look must exceed; `information` ascends to 1. Two-sided, |z|, and `alpha` is of both sides."""
    fraction = _looks(information)
    sides = 2 if two_sided else 1
    spent = sides * obrien_fleming_spent(fraction, alpha / sides)
    spend = np.diff(spent, prepend=0.0)
    walk = _Walk.start(two_sided=two_sided)
    bounds = []
    for look, share in zip(fraction, spend, strict=True):
        walk = walk.advance(look)
        bounds.append(walk.quantile(max(float(share), 1e-15)))
        walk = walk.stopped(bounds[-1])
    return np.array(bounds)


def crossing_probability(
    information: ArrayLike, bounds: ArrayLike, drift: float = 0.0, *, two_sided: bool = False
) -> float:
    """The probability that z exceeds its bound at any look; `drift` is the expected z at full information."""
    fraction, limits = _looks(information), numbers("bounds", bounds)
    require(limits.shape == fraction.shape, "bounds", f"{fraction.size} numbers", limits.size)
    walk, crossed = _Walk.start(two_sided=two_sided), 0.0
    for look, limit in zip(fraction, limits, strict=True):
        walk = walk.advance(look, drift)
        crossed += walk.beyond(float(limit))
        walk = walk.stopped(float(limit))
    return crossed


@dataclass(frozen=True, slots=True)
class _Walk:
    """The density of a Brownian motion that was not stopped: at `points`, which carry `mass`, then spread by a
    normal step.
    """

    time: float
    points: Floats
    mass: Floats
    step: float
    """Standard deviation of the normal step since `points`."""
    shift: float
    two_sided: bool

    @classmethod
    def start(cls, *, two_sided: bool) -> _Walk:
        return cls(0.0, np.zeros(1), np.ones(1), 0.0, 0.0, two_sided)

    def advance(self, time: float, drift: float = 0.0) -> _Walk:
        gone = time - self.time
        return _Walk(time, self.points, self.mass, float(np.sqrt(gone)), drift * gone, self.two_sided)

    def beyond(self, limit: float) -> float:
        """The mass beyond z = `limit`, in both directions if two-sided."""
        edge = limit * np.sqrt(self.time)
        centre = self.points + self.shift
        out = special.ndtr((centre - edge) / self.step)
        if self.two_sided:
            out = out + special.ndtr((-edge - centre) / self.step)
        return float(out @ self.mass)

    def quantile(self, mass: float) -> float:
        """The z beyond which `mass` lies."""

        def excess(limit: float) -> float:
            return float(np.log(max(self.beyond(limit), 1e-300)) - np.log(mass))

        return float(optimize.brentq(excess, -_REACH, 4 * _REACH, xtol=1e-10))

    def stopped(self, limit: float) -> _Walk:
        """Those that go on, on a new grid."""
        high = limit * np.sqrt(self.time)
        widest = _REACH * np.sqrt(self.time)
        low = -high if self.two_sided else min(-widest, high - 1e-6) + min(0.0, float(self.shift))
        high = min(high, widest + abs(self.shift) + float(self.points.max(initial=0.0)))
        node, weight = _quadrature()
        points = (high - low) / 2 * node + (high + low) / 2
        density = stats.norm.pdf(points[:, None], self.points + self.shift, self.step) @ self.mass
        mass = density * weight * (high - low) / 2
        return _Walk(self.time, points, np.asarray(mass, dtype=np.float64), 0.0, 0.0, self.two_sided)


@cache
def _quadrature() -> tuple[Floats, Floats]:
    node, weight = np.polynomial.legendre.leggauss(_POINTS)
    return np.asarray(node, dtype=np.float64), np.asarray(weight, dtype=np.float64)


def _looks(information: ArrayLike) -> Floats:
    fraction = numbers("information", information)
    ascending = fraction.ndim == 1 and fraction.size > 0 and bool((np.diff(fraction, prepend=0.0) > 0).all())
    require(ascending, "information", "ascending fractions above 0", information)
    return fraction
