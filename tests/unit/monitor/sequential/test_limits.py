"""Limits of a reference: they hold as often as they say, by enumeration of every reference there can be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats

from fairlead.errors import BadInputError
from fairlead.monitor.sequential.limits import best_centre, mean_limit, share_limits, tolerant

Floats = NDArray[np.float64]


def references(rows: int) -> Iterator[tuple[int, int, int]]:
    for first, second in itertools.product(range(rows + 1), repeat=2):
        if first + second <= rows:
            yield first, second, rows - first - second


@pytest.mark.parametrize("alpha", [0.2, 0.01])
@pytest.mark.parametrize("share", [0.003, 0.1, 0.5, 0.97])
def test_limits_of_a_share_fail_at_most_as_often_as_stated(alpha: float, share: float) -> None:
    m = np.arange(41)
    low, high = share_limits(np.stack([m, 40 - m], axis=-1), alpha)
    chance = stats.binom.pmf(m, 40, share)
    assert chance[low[:, 0] > share].sum() <= alpha
    assert chance[high[:, 0] < share].sum() <= alpha


def test_shares_between_order_statistics_of_the_reference_keep_to_the_same_limits() -> None:
    rng = np.random.default_rng(3)
    sample = np.sort(rng.random((4_000, 99)), axis=1)
    edges = sample[:, [9, 29]]  # the true share of a cell of uniform numbers is its length
    counts = [(sample < edges[:, :1]).sum(1), ((sample >= edges[:, :1]) & (sample < edges[:, 1:])).sum(1)]
    for m, true in zip(counts, (edges[:, 0], edges[:, 1] - edges[:, 0]), strict=True):
        low, high = share_limits(np.stack([m, 99 - m], axis=-1), 0.05)
        assert (low[:, 0] > true).mean() <= 0.06
        assert (high[:, 0] < true).mean() <= 0.06


def test_a_cell_that_the_reference_never_saw_may_still_have_a_share() -> None:
    low, high = share_limits([0, 1_000], 0.01)
    assert low[0] == 0
    assert high[0] == pytest.approx(1 - 0.01 ** (1 / 1_000))
    assert high[1] == 1


@pytest.mark.parametrize("shares", [(0.2, 0.3, 0.5), (0.01, 0.01, 0.98), (0.9, 0.05, 0.05)])
def test_the_limit_of_a_mean_fails_at_most_as_often_as_stated(shares: tuple[float, float, float]) -> None:
    values, alpha = np.array([2.0, 1.0, 0.3]), 0.2
    every = np.array(list(references(20)))
    chance = stats.multinomial.pmf(every, 20, shares)
    assert chance.sum() == pytest.approx(1)
    assert chance[mean_limit(every, values, alpha) < values @ shares - 1e-12].sum() <= alpha


@pytest.mark.parametrize("reference", [(5, 3, 12), (0, 3, 17), (20, 0, 0), (0, 0, 20), (4_000, 5_000, 1_000)])
def test_the_limit_of_a_mean_is_the_largest_within_its_divergence(reference: tuple[int, int, int]) -> None:
    values, rows = np.array([2.0, 1.0, 0.3]), sum(reference)
    budget = np.log(np.e * (rows + 2) / 0.05) / rows
    first, second = np.meshgrid(np.linspace(1e-6, 1, 1_500), np.linspace(1e-6, 1, 1_500))
    third = np.maximum(1 - first - second, 1e-9)
    share = np.array(reference) / rows
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(share > 0, share * np.log(share), 0).sum()
    divergence = own - share[0] * np.log(first) - share[1] * np.log(second) - share[2] * np.log(third)
    allowed = (divergence <= budget) & (first + second <= 1)
    by_search = (2 * first + second + 0.3 * third)[allowed].max()
    assert mean_limit(reference, values, 0.05) == pytest.approx(by_search, abs=4e-3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 50), min_size=4, max_size=4),
    st.lists(st.floats(0.05, 5), min_size=4, max_size=4),
    st.floats(0, 1),
)
def test_what_is_tolerated_is_bounded_as_the_linear_programme_bounds_it(
    reference: list[int], values: list[float], tolerance: float
) -> None:
    share, v = np.array(reference) / sum(reference), np.array(values)
    bounds = [(s / (1 + tolerance), s * (1 + tolerance)) for s in share]
    found = optimize.linprog(-v, A_eq=[np.ones(4)], b_eq=[1], bounds=bounds)
    centre = best_centre(np.array(reference), v, tolerance)
    assert share @ tolerant(v, centre, tolerance) == pytest.approx(-found.fun, rel=1e-6)


def test_a_larger_reference_is_nearer_to_the_truth() -> None:
    m = np.array([10, 30, 60])
    limits = [mean_limit(m * k, [2.0, 1.0, 0.5], 1e-6) for k in (1, 10, 100, 10_000)]
    assert np.all(np.diff(limits) < 0)
    assert limits[-1] == pytest.approx(0.8, rel=0.02)


@pytest.mark.parametrize("alpha", [0, 1, -1])
def test_a_level_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(BadInputError, match="alpha"):
        share_limits([1, 2], alpha)
    with pytest.raises(BadInputError, match="alpha"):
        mean_limit([1, 2], [1.0, 2.0], alpha)
