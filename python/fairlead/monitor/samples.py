"""What needs every value: Kolmogorov-Smirnov and Wasserstein of two sorted samples, exactly, in one merge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fairlead.monitor.distances import Floats

TRIM = 0.005
"""Share of the reference beyond which, on each side, values are moved to the trim's edge for the robust distance."""


@dataclass(frozen=True, slots=True)
class Apart:
    """Distances of two samples."""

    ks: float
    """Largest difference of the two distribution functions."""
    wasserstein: float
    """Area between the two distribution functions, in the column's unit."""
    robust_wasserstein: float
    """The same with what lies beyond the reference's .5 and 99.5 % quantiles moved there, in standard deviations of
    the reference so trimmed: one wild value moves it by nothing that matters."""
    distinct: int
    """Different values of both samples together."""


def apart(reference: Floats, current: Floats) -> Apart:
    """Return the distances of two sorted samples, neither empty."""
    values = np.concatenate([reference, current])
    order = np.argsort(values, kind="stable")  # two runs that are in order: a merge
    values = values[order]
    # F - G after k of the merged rows, s of them the reference's: s/n - (k - s)/m. In place: these arrays are large.
    gap = np.cumsum(order < len(reference), dtype=np.float64)
    gap *= 1 / len(reference) + 1 / len(current)
    gap -= np.arange(1, len(values) + 1) / len(current)
    gap = np.abs(gap, out=gap)
    steps = np.diff(values)
    # Between equal values the distribution functions are not defined; after the last both are 1.
    rises = steps > 0
    ks = float((gap[:-1] * rises).max(initial=0.0))
    low, high, spread = trimmed(reference)
    first, last = np.searchsorted(values, [low, high])
    distinct = int(np.count_nonzero(rises)) + 1
    inner = float(gap[first:last] @ steps[first:last])
    return Apart(ks, float(gap[:-1] @ steps), inner / spread if spread else 0.0, distinct)


def trimmed(reference: Floats) -> tuple[float, float, float]:
    """Return the trim's edges and the standard deviation of the sorted reference within them (edges repeated).

    Where the deviation so trimmed is 0 (a column that is nearly constant), that of all of it stands in.
    """
    cut = math.floor(TRIM * len(reference))
    low, high = float(reference[cut]), float(reference[-1 - cut])
    spread = float(np.std(np.clip(reference, low, high)))
    if not spread:
        low, high = float(reference[0]), float(reference[-1])
        spread = float(np.std(reference))
    return low, high, spread
