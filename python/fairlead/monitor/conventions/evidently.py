"""Evidently's choice of measure by rows and distinct values, its bins, its thresholds (0.7, `calculations/stattests`).

Missing and infinite values are dropped first, as its preset does. It lays bins of equal width over both tables
together, takes the standard deviation of all reference rows, and a reference as exact in its chi-square; see the
guide for what follows.
"""

from __future__ import annotations

import numpy as np

from fairlead.monitor import distances
from fairlead.monitor.bins import histogram, sturges_edges
from fairlead.monitor.conventions import p_values
from fairlead.monitor.conventions.judged import Judged, decided, measured
from fairlead.monitor.distances import Floats, shares
from fairlead.monitor.pairs import CategoryPair, NumberPair, NumberSide, Pair, distinct
from fairlead.schema.comparison import Measure

SMALL_REFERENCE = 1_000
FEW_VALUES = 5
BINNED_ABOVE = 20
DISTANCE, P_VALUE = 0.1, 0.05
SMALLEST_SPREAD = 0.001
FLOOR = 0.0001


def judge(pair: Pair) -> Judged:
    """Return the measures; both sides have values."""
    reference, current = counted(pair)
    values = len(reference) if isinstance(pair, CategoryPair) else _distinct(pair)
    others = _distances(pair, reference, current)
    small = rows(pair) <= SMALL_REFERENCE
    if isinstance(pair, NumberPair) and values > FEW_VALUES:
        return _by_p("ks_p_value", _ks(pair), others, equal=True) if small else _by_distance("wasserstein_sd", others)
    if not small:
        return _by_distance("js_distance_base_e", others)
    if isinstance(pair, NumberPair):
        reference, current = _by_value(pair)
    if values > 2:
        chi = distances.chi_square_of_fit(reference, current)
        return _by_p("chi_square_fit_p_value", p_values.of_chi_square(chi), others, equal=False)
    return _by_p("z_p_value", _z(pair, reference, current), others, equal=False)


def rows(pair: Pair) -> int:
    """Rows of the reference that have a finite value."""
    return len(pair.reference.values) if isinstance(pair, NumberPair) else int(pair.reference.counts.sum())


def counted(pair: Pair) -> tuple[Floats, Floats]:
    """Return the counts of both sides as its `get_binned_data` does."""
    if isinstance(pair, CategoryPair):
        return pair.reference.counts, pair.current.counts
    reference, current = pair.reference.values, pair.current.values
    if distinct(reference) <= BINNED_ABOVE:
        return _by_value(pair)
    edges = _edges(pair, len(reference) + len(current))
    return histogram(reference, edges), histogram(current, edges)


def _edges(pair: NumberPair, values: int) -> Floats:
    both = pair.reference.values, pair.current.values
    low, high = min(float(one[0]) for one in both), max(float(one[-1]) for one in both)
    return sturges_edges(low, high, values, whole=pair.reference.whole and pair.current.whole)


def _by_value(pair: NumberPair) -> tuple[Floats, Floats]:
    values = np.unique(np.concatenate([pair.reference.values, pair.current.values]))
    ends = [[np.searchsorted(one.values, values, side) for side in ("left", "right")] for one in _sides(pair)]
    reference, current = ((high - low).astype(np.float64) for low, high in ends)
    return reference, current


def _distinct(pair: NumberPair) -> int:
    return pair.apart.distinct if pair.apart is not None else 0


def _sides(pair: NumberPair) -> tuple[NumberSide, NumberSide]:
    return pair.reference, pair.current


def filled(found: Floats) -> Floats:
    """Return shares with .0001 in empty cells, or a millionth of the smallest share where that is no larger."""
    least = float(found[found > 0].min())
    return np.where(found == 0, least / 10**6 if least <= FLOOR else FLOOR, found)


def _distances(pair: Pair, reference: Floats, current: Floats) -> list[Measure]:
    p, q = shares(reference), shares(current)
    full = filled(p), filled(q)
    found = [
        measured("js_distance_base_e", distances.jensen_shannon_distance(p, q, np.e)),
        measured("psi", distances.psi(*full)),
        measured("kullback_leibler", distances.kullback_leibler(*map(shares, full))),
        measured("hellinger", _hellinger(pair)),
    ]
    if isinstance(pair, NumberPair) and pair.apart is not None:
        spread = max(float(np.std(pair.reference.values)), SMALLEST_SPREAD)
        found = [measured("wasserstein_sd", pair.apart.wasserstein / spread), *found, measured("ks", pair.apart.ks)]
    return found


def _hellinger(pair: Pair) -> float:
    """On bins as many as the *distinct* values ask for, each side divided by what lies within."""
    if isinstance(pair, CategoryPair):
        return distances.hellinger(shares(pair.reference.counts), shares(pair.current.counts))
    edges = _edges(pair, _distinct(pair))
    return distances.hellinger(*(shares(histogram(one.values, edges)) for one in _sides(pair)))


def _ks(pair: NumberPair) -> float:
    return p_values.of_ks(pair.reference.values, pair.current.values)


def _z(pair: Pair, reference: Floats, current: Floats) -> float:
    """Of the share of all values but the first in order."""
    if len(reference) < 2:
        return 1.0
    first = 0
    if isinstance(pair, CategoryPair):
        first = min(range(len(pair.labels)), key=lambda at: pair.labels[at])
    n, m = float(reference.sum()), float(current.sum())
    return p_values.of_shares(1 - float(reference[first]) / n, 1 - float(current[first]) / m, (n, m))


def _by_distance(name: str, others: list[Measure]) -> Judged:
    [first] = [one for one in others if one.name == name]
    rest = [one for one in others if one.name != name]
    drifted = first.value is None or first.value >= DISTANCE
    return decided(first.model_copy(update={"threshold": DISTANCE}), rest, drifted=drifted)


def _by_p(name: str, value: float, others: list[Measure], *, equal: bool) -> Judged:
    first = Measure(name=name, value=value, threshold=P_VALUE, drift_is="below")
    return decided(first, others, drifted=value < P_VALUE or (equal and value == P_VALUE))
