"""Edges: ours give equal shares and let nothing hide; others' are numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.bundle.profiling import numeric_profile
from fairlead.monitor.bins import (
    BINS,
    counts_between,
    doane_edges,
    histogram,
    reference_edges,
    sturges_edges,
)

samples = st.lists(st.floats(-1e9, 1e9) | st.integers(0, 3).map(float), min_size=1, max_size=200)


def test_continuous_values_get_the_edges_of_a_bundles_profile_within_a_rank() -> None:
    values = np.sort(np.random.default_rng(1).normal(size=10_000))
    ours, profile = reference_edges(values), numeric_profile(values, BINS)
    assert len(ours) == len(profile.edges) == BINS - 1
    assert np.abs(np.searchsorted(values, ours) - np.searchsorted(values, profile.edges)).max() <= 1
    assert counts_between(values, ours) == pytest.approx(500, abs=1)


def test_counts_are_those_of_a_bundles_profile_on_its_edges() -> None:
    values = np.sort(np.random.default_rng(1).integers(0, 40, size=1_000).astype(float))
    profile = numeric_profile(values, BINS)
    assert counts_between(values, np.array(profile.edges)).tolist() == profile.counts


def test_a_value_that_is_common_has_a_cell_of_its_own() -> None:
    values = np.sort(np.concatenate([np.zeros(950), np.arange(1, 51)]))
    edges = reference_edges(values)
    counts = counts_between(values, edges)
    assert counts[1] == 950
    assert (counts[2:] > 0).all()
    assert len(counts) > 15


@pytest.mark.parametrize("values", [[1.0] * 2, [0.0] * 2 + [1.0] * 3, [0.0] * 99 + [1.0], [*range(20)] * 2])
def test_few_values_have_a_cell_each(values: list[float]) -> None:
    found = np.sort(np.array(values))
    counts = counts_between(found, reference_edges(found))
    assert counts[counts > 0].tolist() == [values.count(one) for one in sorted(set(values))]


@given(samples, samples)
def test_every_value_is_counted_once_on_whichever_edges(reference: list[float], current: list[float]) -> None:
    edges = reference_edges(np.sort(reference))
    counts = counts_between(np.sort(current), edges)
    assert counts.sum() == len(current)
    by_hand = np.bincount(np.searchsorted(edges, current, side="right"), minlength=len(edges) + 1)
    assert counts.tolist() == by_hand.tolist()
    assert (np.diff(edges) > 0).all()


@given(samples, samples, st.integers(1, 20))
def test_any_split_of_the_rows_over_replicas_gives_the_same_counts(
    reference: list[float], current: list[float], parts: int
) -> None:
    edges = reference_edges(np.sort(reference))
    whole = counts_between(np.sort(current), edges)
    split = [counts_between(np.sort(part), edges) for part in np.array_split(np.array(current), parts)]
    assert np.sum(split, axis=0).tolist() == whole.tolist()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=100))
def test_the_edges_of_others_are_numpys(values: list[float]) -> None:
    found = np.sort(np.round(values, 3))
    assert sturges_edges(found[0], found[-1], len(found)) == pytest.approx(np.histogram_bin_edges(found, "sturges"))
    assert doane_edges(found) == pytest.approx(np.histogram_bin_edges(found, "doane"))
    edges = np.histogram_bin_edges(found, "sturges")
    assert histogram(found, edges).tolist() == np.histogram(found, edges)[0].tolist()


def test_cells_of_whole_numbers_are_not_narrower_than_one() -> None:
    values = np.arange(4).repeat(1_000)
    assert sturges_edges(0.0, 3.0, 4_000, whole=True) == pytest.approx(np.histogram_bin_edges(values, "sturges"))
