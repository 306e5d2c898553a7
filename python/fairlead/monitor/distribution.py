"""A column's distribution on both sides, as it is drawn: bounded, whatever the data."""

from __future__ import annotations

import numpy as np

from fairlead.monitor.bins import counts_between
from fairlead.monitor.pairs import CategoryPair, NumberPair, Pair, distinct
from fairlead.monitor.quality import shortened
from fairlead.monitor.samples import trimmed
from fairlead.schema.comparison import Distribution

CELLS = 30
LABELS = 12


def distribution_of(pair: Pair) -> Distribution:
    """Return shares of both sides; both have values. Numbers: equal widths over the reference without its tails."""
    if isinstance(pair, CategoryPair):
        return _labels(pair)
    return _numbers(pair)


def _numbers(pair: NumberPair) -> Distribution:
    reference, current = pair.reference.values, pair.current.values
    low, high, _ = trimmed(reference)
    values = distinct(reference)
    if values <= LABELS and all(float(one).is_integer() for one in np.unique(reference)):
        edges = np.arange(low - 0.5, high + 1.0) if high - low <= CELLS else np.linspace(low, high, CELLS + 1)
    elif low == high:
        edges = np.array([low - 0.5, low + 0.5])
    else:
        edges = np.linspace(low, high, CELLS + 1)
        edges[-1] = np.nextafter(high, np.inf)
    return Distribution(
        edges=edges.tolist(),
        reference=(counts_between(reference, edges) / len(reference)).tolist(),
        current=(counts_between(current, edges) / len(current)).tolist(),
    )


def _labels(pair: CategoryPair) -> Distribution:
    known, seen = (side.counts / side.counts.sum() for side in (pair.reference, pair.current))
    order = np.argsort(-np.maximum(known, seen), kind="stable")
    order = order[np.maximum(known, seen)[order] > 0]
    shown, rest = order[:LABELS], order[LABELS:]
    labels = [shortened(pair.labels[int(at)]) for at in shown]
    sides = [one[shown].tolist() for one in (known, seen)]
    if len(rest):
        labels.append(f"{len(rest):,} others")
        sides = [[*side, float(one[rest].sum())] for side, one in zip(sides, (known, seen), strict=True)]
    return Distribution(labels=labels, reference=sides[0], current=sides[1])
