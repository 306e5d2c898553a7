"""How large a shift is, how sure that is, and what follows: one scale for drift, missing values and everything else.

The size of a shift is the squared Hellinger distance H² of two distributions over the same cells, told as the mean
shift, in standard deviations, that a normal would need for the same distance: d = sqrt(-8 ln(1 - H²)). It needs no
smoothing, has no infinite values for unseen cells, and does not grow with the number of rows.

What chance alone does to it is known: 4N times the sum of (sqrt p - sqrt q)², N = nm / (n + m), of samples of n and m
rows is nearly chi-square, not central where the distributions differ, with 8N H² as its non-centrality (Freeman and
Tukey, 1950). Both samples count as samples. Inverting it gives the interval; cells in which chance is not nearly
normal are pooled first. Rows are taken as independent: where they are not, the interval is too short.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from fairlead.monitor.distances import Floats
from fairlead.schema.comparison import LARGEST_EFFECT, Effect, Severity, Verdict

TOLERANCE = 0.1
"""A shift of a tenth of a standard deviation is tolerated, where Evidently's default for large tables begins."""
GRADES = ((0.1, Severity.SMALL), (math.sqrt(0.1), Severity.MODERATE), (0.5, Severity.LARGE))
"""From which size on: a shift of .316 is a PSI of .1, one of .5 one of .25: customary in credit scoring."""
FEWEST = 20.0
"""Rows that a cell must lead one to expect in the smaller sample; what is rarer is pooled."""
FEWEST_OF_ALL, CELLS_OF_FEW = 5.0, 4
"""In small samples a quarter of the rows is enough, and at least 5."""
EXCESS = 0.5
"""4 var(sqrt X) and bias of a Poisson count X of mean u are 1 + .5 / u, within .01 from u = 10."""
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Caution:
    """What is tolerated, and at which level a single shift is called shown."""

    level: float
    """Chance, for one shift, that a tolerated one is called drift; the comparison's level divided by its shifts."""
    tolerance: float = TOLERANCE


def size_of(hellinger_squared: float) -> float:
    """Return the shift in standard deviations that has this squared Hellinger distance, at most `LARGEST_EFFECT`."""
    left = 1.0 - hellinger_squared
    return LARGEST_EFFECT if left <= 0 else min(LARGEST_EFFECT, math.sqrt(max(0.0, -8.0 * math.log(left))))


def severity_of(size: float) -> Severity:
    """Return the grade of a shift's size."""
    found = Severity.NONE
    for bound, grade in GRADES:
        if size >= bound:
            found = grade
    return found


def verdict_of(effect: Effect, caution: Caution) -> Verdict:
    """Drifted where the shift is shown to be above the tolerance, stable where shown to be less than moderate."""
    if effect.low > caution.tolerance:
        return Verdict.DRIFTED
    return Verdict.STABLE if effect.high < max(GRADES[1][0], caution.tolerance) else Verdict.CANNOT_TELL


def effect_of(reference: ArrayLike, current: ArrayLike, caution: Caution, *, ordered: bool = False) -> Effect | None:
    """Return the size of the shift between counts on the same cells, with its interval; None where a side has no rows.

    `ordered` cells are pooled with their neighbours where they are rare, others with each other.
    """
    known, seen = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    n, m = float(known.sum()), float(seen.sum())
    if min(n, m) <= 0:
        return None
    several = np.count_nonzero(known + seen) > 1
    known, seen = pooled(known, seen, ordered=ordered)
    freedom = len(known) - 1
    if not freedom:
        return Effect(size=0.0, low=0.0, high=LARGEST_EFFECT if several else 0.0)
    harmonic = n * m / (n + m)
    statistic = 4.0 * harmonic * float(np.square(np.sqrt(known / n) - np.sqrt(seen / m)).sum())
    statistic /= _excess(known, seen, harmonic)
    sure = -NormalDist().inv_cdf(caution.level)
    low, high = (_noncentrality(statistic, freedom, z) for z in (sure, -sure))
    sizes = [size_of(min(1.0, one / (8.0 * harmonic))) for one in (max(0.0, statistic - freedom), low, high)]
    return Effect(size=sizes[0], low=min(sizes[0], sizes[1]), high=max(sizes[0], sizes[2]))


def _excess(known: Floats, seen: Floats, harmonic: float) -> float:
    """By how much the statistic of equal distributions lies above its degrees of freedom, cells being finite."""
    n, m = known.sum(), seen.sum()
    share = (known + seen) / (n + m)
    return 1.0 + float(np.mean(EXCESS * harmonic * (1 / n**2 + 1 / m**2) / share))


def pooled(reference: Floats, current: Floats, *, ordered: bool) -> tuple[Floats, Floats]:
    """Pool cells that are rare in both sides together: ordered ones with their neighbours, others with each other.

    Which cells are pooled must not depend on one side alone: a cell chosen for being rare in the reference is, by
    chance, less rare elsewhere. Given the sums of both sides, equal distributions share each sum out evenly.
    """
    both = reference + current
    smaller = min(float(reference.sum()), float(current.sum()))
    fewest = max(FEWEST_OF_ALL, min(FEWEST, smaller / CELLS_OF_FEW)) * float(both.sum()) / smaller
    rare = both < fewest
    groups = _neighbours(both, fewest) if ordered and rare.any() else np.where(rare, 0, np.cumsum(~rare))
    known, seen = (np.bincount(groups, one).astype(np.float64) for one in (reference, current))
    there = known + seen > 0
    return known[there], seen[there]


def _neighbours(counts: Floats, fewest: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Number the cells so that each group of neighbours has at least `fewest`; a remainder joins the last group."""
    groups = np.zeros(len(counts), dtype=np.int64)
    group, held = 0, 0.0
    for at, count in enumerate(counts):
        groups[at] = group
        held += count
        if held >= fewest:
            group, held = group + 1, 0.0
    if held and group:
        groups[groups == group] = group - 1
    return groups


def _noncentrality(statistic: float, freedom: int, normal: float) -> float:
    """Return the non-centrality under which the statistic lies `normal` standard normal units above its middle."""
    low, high = 0.0, (math.sqrt(statistic) + abs(normal) + 10.0) ** 2
    if normal_score(statistic, freedom, 0.0) <= normal:
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if normal_score(statistic, freedom, middle) > normal else (low, middle)
    return (low + high) / 2


def normal_score(statistic: float, freedom: int, noncentrality: float) -> float:
    """Return the standard normal value with (nearly) the same distribution function as non-central chi-square.

    Sankaran, Biometrika 1959, the closest of his approximations: exact routines lose their footing at the
    non-centralities of a million rows.
    """
    k, nc = float(freedom), noncentrality
    h = 1.0 - 2.0 * (k + nc) * (k + 3.0 * nc) / (3.0 * (k + 2.0 * nc) ** 2)
    p = (k + 2.0 * nc) / (k + nc) ** 2
    m = (h - 1.0) * (1.0 - 3.0 * h)
    middle = 1.0 + h * p * (h - 1.0 - 0.5 * (2.0 - h) * m * p)
    return float(((statistic / (k + nc)) ** h - middle) / (h * math.sqrt(2.0 * p) * (1.0 + 0.5 * m * p)))
