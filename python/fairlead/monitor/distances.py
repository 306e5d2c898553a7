"""How far two distributions over the same cells are apart: functions of counts, so that they add up over replicas.

`p` and `q` are shares of reference and current, as `shares` makes them of counts on the same cells. Logarithms are
natural unless a base is given. For a mean shift of d standard deviations of a normal, d small: PSI = d²,
Kullback-Leibler = d²/2, Jensen-Shannon divergence = squared Hellinger = d²/8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlead.errors import BadInputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """A chi-square statistic, its degrees of freedom, and Cramér's V, which does not grow with the sample."""

    statistic: float
    freedom: int
    cramers_v: float


def shares(counts: ArrayLike) -> Floats:
    """Return counts divided by their sum; raises `BadInputError` where nothing was counted."""
    found = np.asarray(counts, dtype=np.float64)
    total = float(found.sum())
    if total <= 0 or (found < 0).any():
        raise BadInputError(f"counts: expected whole numbers from 0 with a sum above 0, got a sum of {total:g}")
    return found / total


def smoothed_shares(counts: ArrayLike) -> Floats:
    """Return shares with half a row added to every cell (Jeffreys), so that logarithms of them are finite."""
    return shares(np.asarray(counts, dtype=np.float64) + 0.5)


def psi(p: Floats, q: Floats) -> float:
    """Population stability index, sum of (p - q) ln(p / q): symmetric; infinite where one side has an empty cell."""
    return kullback_leibler(p, q) + kullback_leibler(q, p)


def kullback_leibler(p: Floats, q: Floats) -> float:
    """Kullback-Leibler divergence of q from p, sum of p ln(p / q): infinite where q is 0 and p is not."""
    there = p > 0
    if (q[there] == 0).any():
        return math.inf
    return float(np.sum(p[there] * np.log(p[there] / q[there])))


def jensen_shannon_divergence(p: Floats, q: Floats, base: float = 2.0) -> float:
    """Mean divergence of both sides from their middle: 0 to 1 in base 2, 0 to ln 2 in base e."""
    middle = (p + q) / 2
    both = (kullback_leibler(p, middle) + kullback_leibler(q, middle)) / 2
    return max(0.0, both) / math.log(base)


def jensen_shannon_distance(p: Floats, q: Floats, base: float = 2.0) -> float:
    """The root of the divergence, a metric: this is what Evidently (base e, up to .8326) and NannyML (base 2) show."""
    return math.sqrt(jensen_shannon_divergence(p, q, base))


def total_variation(p: Floats, q: Floats) -> float:
    """Half the sum of differences: the largest difference of the share of any set of cells, 0 to 1."""
    return float(np.abs(p - q).sum() / 2)


def hellinger(p: Floats, q: Floats) -> float:
    """Hellinger distance, the root of half the sum of (sqrt p - sqrt q)²: 0 to 1."""
    return math.sqrt(max(0.0, float(np.square(np.sqrt(p) - np.sqrt(q)).sum()) / 2))


def largest_difference(p: Floats, q: Floats) -> float:
    """The largest difference of a single cell's share (L-infinity), 0 to 1."""
    return float(np.abs(p - q).max())


def ks_at_edges(p: Floats, q: Floats) -> float:
    """Kolmogorov-Smirnov statistic seen at the edges of ordered cells: never above the exact one."""
    return float(np.abs(np.cumsum(p - q)).max())


def wasserstein_at_edges(p: Floats, q: Floats, width: float) -> float:
    """First Wasserstein distance of ordered cells of equal `width`, each value moved to its cell's edge."""
    return float(np.abs(np.cumsum(p - q)).sum() * width)


def chi_square(reference: ArrayLike, current: ArrayLike) -> ChiSquare:
    """Two-sample (contingency) chi-square: both sides are samples, none is taken as the truth."""
    table = np.array([reference, current], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    total = float(table.sum())
    if min(table.sum(axis=1), default=0.0) <= 0:
        raise BadInputError("counts: expected rows on both sides, got none on one")
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    statistic = float((np.square(table - expected) / expected).sum())
    freedom = table.shape[1] - 1
    return ChiSquare(statistic, freedom, math.sqrt(statistic / total) if freedom else 0.0)


def chi_square_of_fit(reference: ArrayLike, current: ArrayLike) -> ChiSquare:
    """Chi-square of current against the reference taken as exact, as Evidently has it: infinite at unseen cells.

    It forgets that the reference is a sample too, so it alarms far too often; here only to compare numbers.
    """
    known, seen = (np.asarray(one, dtype=np.float64) for one in (reference, current))
    expected = known * (seen.sum() / known.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(seen == expected, 0.0, np.square(seen - expected) / expected)
    statistic = float(parts.sum())
    return ChiSquare(statistic, len(known) - 1, math.sqrt(statistic / float(seen.sum())))
