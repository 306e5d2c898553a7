"""Our own: cells on the reference's quantiles, which no value of the current rows can move; the effect decides."""

from __future__ import annotations

from fairlead.monitor import distances
from fairlead.monitor.bins import counts_between, reference_edges
from fairlead.monitor.conventions.judged import Judged, measured
from fairlead.monitor.distances import Floats, shares, smoothed_shares
from fairlead.monitor.pairs import CategoryPair, NumberPair, Pair
from fairlead.monitor.shift import Caution, effect_of
from fairlead.schema.comparison import Effect, Measure


def cells(pair: Pair) -> tuple[Floats, Floats]:
    """Return the counts of both sides on the reference's own cells."""
    if isinstance(pair, CategoryPair):
        return pair.reference.counts, pair.current.counts
    edges = reference_edges(pair.reference.values)
    return counts_between(pair.reference.values, edges), counts_between(pair.current.values, edges)


def effect(pair: Pair, caution: Caution) -> Effect | None:
    """Return the size of the shift of the values that are there; None where one side has none."""
    reference, current = cells(pair)
    return effect_of(reference, current, caution, ordered=isinstance(pair, NumberPair))


def judge(pair: Pair) -> Judged:
    """Return the measures; both sides have values."""
    reference, current = cells(pair)
    found = on_cells(reference, current)
    if isinstance(pair, NumberPair) and pair.apart is not None:
        found += [measured("ks", pair.apart.ks), measured("wasserstein_robust", pair.apart.robust_wasserstein)]
    return Judged(found)


def on_cells(reference: Floats, current: Floats) -> list[Measure]:
    """Return the measures that counts are enough for, so that those of replicas can be added up first."""
    p, q = shares(reference), shares(current)
    there = reference + current > 0
    smooth = smoothed_shares(reference[there]), smoothed_shares(current[there])
    chi = distances.chi_square(reference, current)
    return [
        measured("psi", distances.psi(*smooth)),
        measured("js_distance", distances.jensen_shannon_distance(p, q)),
        measured("total_variation", distances.total_variation(p, q)),
        measured("hellinger", distances.hellinger(p, q)),
        measured("cramers_v", chi.cramers_v),
    ]
