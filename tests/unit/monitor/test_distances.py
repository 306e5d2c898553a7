"""Distances of counts: by hand, by SciPy, and by the laws that they keep."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from fairlead.errors import BadInputError
from fairlead.monitor import distances
from fairlead.monitor.distances import Floats, shares, smoothed_shares

P, Q = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.4, 0.2])
BOUNDED = (
    distances.jensen_shannon_distance,
    distances.total_variation,
    distances.hellinger,
    distances.largest_difference,
)
SYMMETRIC = (*BOUNDED, distances.psi, distances.jensen_shannon_divergence, distances.ks_at_edges)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Floats, Floats]:
    cells = draw(st.integers(1, 12))
    counts = st.lists(st.integers(0, 1_000), min_size=cells, max_size=cells).filter(any)
    return np.array(draw(counts), dtype=float), np.array(draw(counts), dtype=float)


def test_the_formulas_by_hand() -> None:
    assert distances.psi(P, Q) == pytest.approx(0.1 * math.log(5 / 4) + 0.1 * math.log(4 / 3))
    assert distances.kullback_leibler(P, Q) == pytest.approx(0.5 * math.log(5 / 4) + 0.3 * math.log(3 / 4))
    assert distances.total_variation(P, Q) == pytest.approx(0.1)
    assert distances.largest_difference(P, Q) == pytest.approx(0.1)
    assert distances.ks_at_edges(P, Q) == pytest.approx(0.1)
    assert distances.hellinger(P, Q) == pytest.approx(math.sqrt(1 - math.sqrt(0.2) - math.sqrt(0.12) - 0.2))
    assert distances.wasserstein_at_edges(P, Q, 2.0) == pytest.approx(0.2)


@given(pairs())
def test_kullback_leibler_and_jensen_shannon_are_those_of_scipy(both: tuple[Floats, Floats]) -> None:
    p, q = map(shares, both)
    assert distances.kullback_leibler(p, q) == pytest.approx(rel_entr(p, q).sum())
    for base in (2.0, math.e):
        # SciPy subtracts nearly equal logarithms where both are equal: the root of 1e-16 is 1e-8.
        assert distances.jensen_shannon_distance(p, q, base) == pytest.approx(
            float(np.nan_to_num(jensenshannon(p, q, base))), abs=1e-7
        )


def test_the_distance_is_the_root_of_the_divergence_and_both_are_bounded() -> None:
    apart = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert distances.jensen_shannon_divergence(*apart) == pytest.approx(1.0)
    assert distances.jensen_shannon_divergence(*apart, math.e) == pytest.approx(math.log(2))
    assert distances.jensen_shannon_distance(*apart, math.e) == pytest.approx(0.8326, abs=1e-4)
    assert distances.jensen_shannon_distance(P, Q) == pytest.approx(
        math.sqrt(distances.jensen_shannon_divergence(P, Q))
    )


@given(pairs(), st.randoms(use_true_random=False))
def test_distances_are_symmetric_bounded_and_blind_to_the_order_of_cells(
    both: tuple[Floats, Floats], random: Random
) -> None:
    p, q = map(shares, both)
    order = list(range(len(p)))
    random.shuffle(order)
    for distance in SYMMETRIC:
        assert distance(p, q) == pytest.approx(distance(q, p))
        assert distance(p, p) == pytest.approx(0, abs=1e-7)
        if distance is not distances.ks_at_edges:  # the one that knows an order
            assert distance(p[order], q[order]) == pytest.approx(distance(p, q), abs=1e-9)
    for distance in BOUNDED:
        assert -1e-12 <= distance(p, q) <= 1 + 1e-12
    assert distances.ks_at_edges(p, q) <= distances.total_variation(p, q) + 1e-12
    squared = distances.hellinger(p, q) ** 2
    assert squared - 1e-9 <= distances.total_variation(p, q) <= math.sqrt(2 * squared) + 1e-9


@given(pairs(), pairs(), st.integers(1, 50))
def test_counts_of_replicas_add_up_and_their_number_is_no_distance(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats], times: int
) -> None:
    reference, current = first
    p = shares(reference)
    if len(second[0]) == len(reference):
        merged = shares(current + second[1])
        weight = current.sum() / (current.sum() + second[1].sum())
        assert merged == pytest.approx(weight * shares(current) + (1 - weight) * shares(second[1]))
    for distance in BOUNDED:
        assert distance(p, shares(current * times)) == pytest.approx(distance(p, shares(current)))


def test_an_empty_cell_is_infinite_unless_it_is_smoothed() -> None:
    known, seen = np.array([10.0, 0.0]), np.array([5.0, 5.0])
    assert math.isinf(distances.psi(shares(known), shares(seen)))
    assert distances.psi(smoothed_shares(known), smoothed_shares(seen)) == pytest.approx(
        (21 / 22 - 0.5) * math.log(21 / 11) + (1 / 22 - 0.5) * math.log(1 / 11)
    )


@given(pairs())
def test_chi_square_is_the_contingency_test_of_scipy(both: tuple[Floats, Floats]) -> None:
    table = np.array(both)
    table = table[:, table.sum(axis=0) > 0]
    found = distances.chi_square(*both)
    assert found.freedom == table.shape[1] - 1
    if found.freedom:
        expected = stats.chi2_contingency(table, correction=False)
        assert found.statistic == pytest.approx(expected.statistic, abs=1e-9)
        assert found.cramers_v == pytest.approx(stats.contingency.association(table.astype(int)), abs=1e-9)


def test_chi_square_of_fit_is_that_of_scipy() -> None:
    known, seen = np.array([16.0, 16, 16, 16, 16, 8]), np.array([16.0, 18, 16, 14, 12, 12])
    expected = stats.chisquare(seen, known * seen.sum() / known.sum())
    assert distances.chi_square_of_fit(known, seen).statistic == pytest.approx(expected.statistic)


@pytest.mark.parametrize("counts", [[0, 0], [], [3, -1]])
def test_counts_of_nothing_are_refused(counts: list[int]) -> None:
    with pytest.raises(BadInputError, match="counts"):
        shares(counts)
