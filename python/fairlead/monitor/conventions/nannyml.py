"""NannyML's measures and its threshold: mean + 3 standard deviations over ten parts of the reference (0.13).

Its default measure, Jensen-Shannon, decides. Ten parts give a very noisy standard deviation, and the current rows are
one part of another size: the threshold is no false-alarm rate.
"""

from __future__ import annotations

import numpy as np

from fairlead.monitor import distances
from fairlead.monitor.bins import doane_edges, histogram
from fairlead.monitor.conventions.judged import Judged, decided, measured
from fairlead.monitor.distances import Floats, shares
from fairlead.monitor.pairs import LARGEST, CategoryPair, NumberPair, NumberSide, Pair
from fairlead.monitor.samples import apart
from fairlead.schema.comparison import Measure

PARTS = 10
DEVIATIONS = 3.0
EXACT_BELOW = 10_000
FINE_BINS = 10_000


def judge(pair: Pair) -> Judged:
    """Return the measures; both sides have values."""
    if isinstance(pair, NumberPair):
        return _judge_numbers(pair)
    return _judge_categories(pair)


def threshold_of(values: list[float]) -> float:
    """Return the upper threshold from the measure's values on the parts of the reference."""
    return float(np.mean(values) + DEVIATIONS * np.std(values))


def parts_of(rows: Floats) -> list[Floats]:
    """Return ten parts of the rows in their order, as equal as they can be."""
    return [part for part in np.array_split(rows, PARTS) if len(part)]


def _judge_numbers(pair: NumberPair) -> Judged:
    edges = doane_edges(pair.reference.values)
    known = histogram(pair.reference.values, edges)
    parts = [np.sort(part[np.abs(part) <= LARGEST]) for part in parts_of(pair.reference.given)]
    values = [_jensen_shannon(*with_leftover(known, part, edges)) for part in parts if len(part)]
    p, q = with_leftover(known, pair.current.values, edges)
    others = [measured("hellinger", distances.hellinger(p, q)), *_fine(pair.reference, pair.current)]
    return _judged(_jensen_shannon(p, q), threshold_of(values), others)


def _judge_categories(pair: CategoryPair) -> Judged:
    known = shares(pair.reference.counts)
    values = []
    for part in parts_of(pair.reference.codes.astype(np.float64)):
        codes = part[part >= 0].astype(np.int64)
        if len(codes):
            values.append(_jensen_shannon(known, shares(np.bincount(codes, minlength=len(known)))))
    p, q = known, shares(pair.current.counts)
    found = distances.chi_square(pair.reference.counts, pair.current.counts)
    others = [
        measured("largest_difference", distances.largest_difference(p, q)),
        measured("hellinger", distances.hellinger(p, q)),
        measured("chi_square", found.statistic),
    ]
    # All categories that the reference never saw are one cell.
    unseen = pair.reference.counts == 0
    p, q = np.append(p[~unseen], 0.0), np.append(q[~unseen], q[unseen].sum())
    return _judged(_jensen_shannon(p, q), threshold_of(values), others)


def with_leftover(known: Floats, values: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Return shares on the reference's bins; what lies outside them is one more cell, which the reference has not."""
    seen = histogram(values, edges) / len(values)
    return np.append(known / known.sum(), 0.0), np.append(seen, max(0.0, 1.0 - float(seen.sum())))


def _jensen_shannon(p: Floats, q: Floats) -> float:
    return distances.jensen_shannon_distance(p, q, 2.0)


def _judged(value: float, threshold: float, others: list[Measure]) -> Judged:
    first = Measure(name="js_distance", value=value, threshold=threshold)
    return decided(first, others, drifted=value > threshold)


def _fine(reference: NumberSide, current: NumberSide) -> list[Measure]:
    """Exact below 10,000 rows of reference, else on 10,000 bins of equal width over it."""
    if len(reference.values) < EXACT_BELOW:
        found = apart(reference.values, current.values)
        return [measured("ks", found.ks), measured("wasserstein", found.wasserstein)]
    low, high = float(reference.values[0]), float(reference.values[-1])
    edges = np.linspace(low, high, FINE_BINS + 1)
    values, rows = current.values, len(current.values)
    known = np.cumsum(histogram(reference.values, edges) / len(reference.values))
    seen = np.cumsum(histogram(values, edges) / rows)
    below, above = values[values < low], values[values > high]
    ks = float(np.abs(known - seen - len(below) / rows).max())
    # One row too many stands below, where any does: so it is there, and so the numbers are the same.
    before = (len(below) + 1) / rows if len(below) else 0.0
    inside = float(np.abs(known - seen - before).sum()) * float(edges[1] - edges[0])
    tails = float((low - below).sum() + (above - high).sum()) / rows
    return [measured("ks", ks), measured("wasserstein", inside + tails)]
