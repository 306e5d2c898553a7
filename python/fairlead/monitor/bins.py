"""Where the edges lie: on the reference's quantiles (ours), or as others lay them, so that numbers can be compared.

Cells of k edges: (-inf, e0), [e0, e1) ... [ek-1, inf), as in `schema.profile.NumericProfile`. All values are sorted
and finite.
"""

from __future__ import annotations

import math

import numpy as np

from fairlead.monitor.distances import Floats

BINS = 20
"""As the reference profile of a bundle has them."""
FEWEST = 5
"""Reference rows in a cell."""


def reference_edges(reference: Floats, bins: int = BINS) -> Floats:
    """Return edges that give each of about `bins` cells an equal share of the sorted reference.

    A value that alone has at least 1/bins of the rows gets a cell of its own, and the other rows share the other
    cells: else a column that is mostly zero would have one cell, in which every change hides. So does every value
    where there are few.
    """
    bins = max(2, min(bins, len(reference) // FEWEST))
    heavy = _heavy(reference, bins)
    rest = _without(reference, heavy)
    parts = max(2, bins - len(heavy))
    inner = rest[len(rest) * np.arange(1, parts) // parts] if len(rest) else rest
    return np.unique(np.concatenate([heavy, np.nextafter(heavy, math.inf), inner]))


def _heavy(reference: Floats, bins: int) -> Floats:
    """All values where they are few and repeat, else those with at least 1/bins of the rows."""
    found: list[float] = []
    at = 0
    while at < len(reference) and len(found) <= BINS:
        found.append(float(reference[at]))
        at = int(np.searchsorted(reference, reference[at], "right"))
    if len(found) <= BINS and 2 * len(found) <= len(reference):
        return np.array(found)
    grid = np.linspace(0, len(reference) - 1, 4 * bins + 1).astype(np.int64)
    values, times = np.unique(reference[grid], return_counts=True)
    values = values[times > 1]
    counts = np.searchsorted(reference, values, "right") - np.searchsorted(reference, values, "left")
    return np.asarray(values[counts * bins >= len(reference)])


def _without(reference: Floats, heavy: Floats) -> Floats:
    if not len(heavy):
        return reference
    keep = np.ones(len(reference), dtype=bool)
    for value in heavy:
        keep[np.searchsorted(reference, value, "left") : np.searchsorted(reference, value, "right")] = False
    return reference[keep]


def counts_between(values: Floats, edges: Floats) -> Floats:
    """Return how many of the sorted values lie in each of the len(edges) + 1 cells."""
    ends = np.concatenate([[0], np.searchsorted(values, edges, "left"), [len(values)]])
    return np.diff(ends).astype(np.float64)


def histogram(values: Floats, edges: Floats) -> Floats:
    """Return what `numpy.histogram` counts of the sorted values: nothing outside, the last cell closed."""
    inner = np.searchsorted(values, edges[:-1], "left")
    return np.diff(np.append(inner, np.searchsorted(values, edges[-1], "right"))).astype(np.float64)


def sturges_edges(low: float, high: float, values: int, *, whole: bool = False) -> Floats:
    """Return edges of equal width from `low` to `high` after Sturges: log2(values) + 1 cells, rounded up.

    Cells of `whole` numbers are at least 1 wide, as numpy has it since 2.0.
    """
    width = (high - low) / (math.log2(values) + 1.0)
    return _equal_width(low, high, max(1.0, width) if whole else width)


def doane_edges(reference: Floats) -> Floats:
    """Return edges of equal width over the reference after Doane, which widens Sturges' rule for skewed data."""
    size, low, high = len(reference), float(reference[0]), float(reference[-1])
    width = 0.0
    if size > 2:
        spread = float(np.std(reference))
        if spread > 0:
            skew = float(np.mean(((reference - np.mean(reference)) / spread) ** 3))
            error = math.sqrt(6.0 * (size - 2) / ((size + 1.0) * (size + 3)))
            width = (high - low) / (1.0 + math.log2(size) + math.log2(1.0 + abs(skew) / error))
    return _equal_width(low, high, width)


def _equal_width(low: float, high: float, width: float) -> Floats:
    if low == high:
        low, high = low - 0.5, high + 0.5
    cells = math.ceil((high - low) / width) if width > 0 else 1
    return np.linspace(low, high, cells + 1)
