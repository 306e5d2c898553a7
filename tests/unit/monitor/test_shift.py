"""Size, interval, verdict: what a shift is worth, and what chance does to it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairlead.monitor.bins import counts_between, reference_edges
from fairlead.monitor.shift import Caution, effect_of, normal_score, pooled, severity_of, size_of, verdict_of
from fairlead.schema.comparison import Effect, Severity, Verdict

CAUTION = Caution(0.01)
counts = st.lists(st.integers(0, 500), min_size=2, max_size=10)


def effect(reference: object, current: object, caution: Caution = CAUTION) -> Effect:
    found = effect_of(np.asarray(reference), np.asarray(current), caution)
    assert found is not None
    return found


@pytest.mark.parametrize("shift", [0.1, 0.316, 0.5, 1.0, 3.0])
def test_the_size_is_the_mean_shift_of_a_normal(shift: float) -> None:
    edges = np.linspace(-8, 12, 2_001)
    known, seen = np.diff(stats.norm.cdf(edges)), np.diff(stats.norm.cdf(edges, shift))
    squared = 1 - float(np.sqrt(known * seen).sum())
    assert size_of(squared) == pytest.approx(shift, rel=1e-3)


def test_the_size_is_found_again_from_samples_on_quantile_cells() -> None:
    rng = np.random.default_rng(5)
    reference = np.sort(rng.normal(size=50_000))
    edges = reference_edges(reference)
    for shift in (0.1, 0.316, 0.5, 1.0):
        current = np.sort(rng.normal(shift, 1, size=50_000))
        found = effect_of(counts_between(reference, edges), counts_between(current, edges), CAUTION, ordered=True)
        assert found is not None
        # 20 cells see a little less than all of a shift.
        assert found.size == pytest.approx(shift, rel=0.05, abs=0.02)
        assert found.low < found.size < found.high


def test_the_ends_of_the_scale() -> None:
    assert size_of(0.0) == 0.0
    assert size_of(1.0) == 10.0
    assert effect([10_000, 0], [0, 10_000]).size > 8
    assert effect_of([0, 0], [1, 1], CAUTION) is None
    assert effect([7, 0], [9, 0]) == Effect(size=0, low=0, high=0)


def test_too_few_rows_for_two_cells_tell_nothing() -> None:
    found = effect([3, 2], [1, 4])
    assert (found.size, found.low, found.high) == (0.0, 0.0, 10.0)
    assert verdict_of(found, CAUTION) is Verdict.CANNOT_TELL


@given(counts, counts)
def test_the_interval_holds_the_size_and_turning_sides_around_changes_nothing_large(
    first: list[int], second: list[int]
) -> None:
    cells = min(len(first), len(second))
    found = effect_of(first[:cells], second[:cells], CAUTION)
    if found is not None:
        assert 0 <= found.low <= found.size <= found.high <= 10


def test_more_rows_narrow_the_interval_and_leave_the_size() -> None:
    known, seen = np.array([500, 300, 200]), np.array([400, 350, 250])
    few, many = effect(known, seen), effect(known * 100, seen * 100)
    assert many.size == pytest.approx(size_of(1 - float(np.sqrt(known * seen).sum()) / 1_000), rel=0.01)
    assert few.low < many.low < many.size < many.high < few.high


@pytest.mark.parametrize("freedom", [1, 2, 5, 20, 40])
def test_the_normal_score_is_that_of_scipys_noncentral_chi_square(freedom: int) -> None:
    for noncentrality in (0.0, 1.0, 10.0, 100.0, 5_000.0):
        law = stats.ncx2(freedom, noncentrality) if noncentrality else stats.chi2(freedom)
        for level in (0.0005, 0.01, 0.1, 0.5, 0.9, 0.99, 0.9995):
            exact = stats.norm.ppf(level)
            ours = normal_score(float(law.ppf(level)), freedom, noncentrality)
            assert ours > exact - 0.1
            # Far below the middle of one or two cells it is only roughly right, where it makes the upper end wider.
            slack = 0.1 if level > 0.1 or freedom > 5 else 2.0
            assert ours == pytest.approx(exact, abs=slack), (noncentrality, level)


@pytest.mark.parametrize(("n", "m", "cells"), [(1_000, 1_000, 5), (10_000, 300, 10), (500, 20_000, 10), (400, 400, 2)])
@pytest.mark.parametrize("shift", [0.0, 0.2, 0.6])
def test_either_end_of_the_interval_is_wrong_no_more_often_than_its_level(
    n: int, m: int, cells: int, shift: float
) -> None:
    rng = np.random.default_rng(n + cells)
    edges = stats.norm.ppf(np.arange(1, cells) / cells)
    bounds = np.concatenate([[-np.inf], edges, [np.inf]])
    p, q = np.diff(stats.norm.cdf(bounds)), np.diff(stats.norm.cdf(bounds, shift))
    truth = size_of(1 - float(np.sqrt(p * q).sum()))
    level, runs = 0.05, 1_500
    caution = Caution(level)
    found = [
        effect_of(one, other, caution)
        for one, other in zip(rng.multinomial(n, p, runs), rng.multinomial(m, q, runs), strict=True)
    ]
    above = np.mean([one.low > truth + 1e-9 for one in found if one is not None])
    below = np.mean([one.high < truth for one in found if one is not None])
    allowed = level + 3 * math.sqrt(level * (1 - level) / runs)
    assert above <= allowed
    assert below <= allowed


@pytest.mark.parametrize(("n", "m"), [(2_000, 100), (20_000, 30), (100, 20_000), (60, 60), (25, 25)])
@pytest.mark.parametrize("labels", [2, 20, 400])
def test_rare_labels_make_no_false_alarms(n: int, m: int, labels: int) -> None:
    rng = np.random.default_rng(n + labels)
    shares = 1 / np.arange(1, labels + 1)
    shares /= shares.sum()
    level, runs = 0.05, 600
    found = [
        effect_of(rng.multinomial(n, shares), rng.multinomial(m, shares), Caution(level, tolerance=0))
        for _ in range(runs)
    ]
    alarms = np.mean([one.low > 0 for one in found if one is not None])
    assert alarms <= level + 4 * math.sqrt(level * (1 - level) / runs)


def test_rare_cells_are_pooled_by_both_sides_together() -> None:
    reference, current = np.array([900.0, 3, 0, 97, 0]), np.array([870.0, 5, 1, 100, 24])
    known, seen = pooled(reference, current, ordered=False)
    assert known.tolist() == [3.0, 900.0, 97.0]
    assert seen.tolist() == [30.0, 870.0, 100.0]
    assert pooled(current, reference, ordered=False)[0].tolist() == seen.tolist()


def test_ordered_cells_are_pooled_with_their_neighbours() -> None:
    known, seen = pooled(np.array([2.0, 20, 2, 50, 3]), np.array([10.0, 20, 3, 40, 2]), ordered=True)
    assert known.tolist() == [22.0, 55.0]
    assert seen.tolist() == [30.0, 45.0]


@pytest.mark.parametrize(
    ("low", "size", "high", "verdict"),
    [
        (0.2, 0.4, 0.6, Verdict.DRIFTED),
        (0.0, 0.05, 0.3, Verdict.STABLE),
        (0.0, 0.5, 1.5, Verdict.CANNOT_TELL),
        (0.09, 0.2, 0.32, Verdict.CANNOT_TELL),
        (0.11, 0.12, 0.13, Verdict.DRIFTED),
    ],
)
def test_a_verdict_has_evidence_or_is_none(low: float, size: float, high: float, verdict: Verdict) -> None:
    assert verdict_of(Effect(size=size, low=low, high=high), CAUTION) is verdict


@pytest.mark.parametrize(
    ("size", "grade"),
    [
        (0.0, Severity.NONE),
        (0.0999, Severity.NONE),
        (0.1, Severity.SMALL),
        (0.317, Severity.MODERATE),
        (0.5, Severity.LARGE),
        (10, Severity.LARGE),
    ],
)
def test_severities_are_grades_of_the_size(size: float, grade: Severity) -> None:
    assert severity_of(size) is grade
