"""Quantiles: binning and merging only weaken, the level holds, a margin is a margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.quantile import Histogram, QuantileTest, Sample, exceedance_log_e
from fairlead.rollout.evidence.ramp import Side

if TYPE_CHECKING:
    from tests.unit.rollout.evidence.conftest import Judge

EDGES = np.array([-np.inf, 0.0, 1.0, 2.0, 4.0, np.inf])
VALUES = st.lists(st.floats(-1, 9).map(lambda x: round(x, 1)), min_size=1, max_size=60)


def binned(values: list[float] | np.ndarray, edges: np.ndarray = EDGES) -> Histogram:
    # numpy's last bin is closed on the right; infinity is not among the values.
    return Histogram.of(edges, np.histogram(values, np.where(np.isinf(edges), np.sign(edges) * 1e9, edges))[0])


@pytest.mark.parametrize("side", list(Side))
@given(old=VALUES, new=VALUES)
def test_bins_only_weaken_the_evidence(side: Side, old: list[float], new: list[float]) -> None:
    test = QuantileTest(side, 0.7, n_opt=50)
    exact = test.log_e(Sample.of(old), Sample.of(new))
    assert test.log_e(binned(old), binned(new)) <= exact + 1e-7


@given(old=VALUES, new=VALUES, x=st.floats(-2, 10))
@example(old=[6.0], new=[7.0], x=0.0)  # (7 - 0.1) / 1.2 * 1.2 + 0.1 is above 7
def test_no_place_has_less_evidence_than_the_least(old: list[float], new: list[float], x: float) -> None:
    for test in (QuantileTest(Side.HARM, 0.7, n_opt=50), QuantileTest(Side.SAFE, 0.7, 50, ratio=1.2, shift=0.1)):
        arms = Sample.of(old), Sample.of(new)
        assert test.log_e_at(*arms, [x])[0] >= test.log_e(*arms) - 1e-9


def test_replicas_add() -> None:
    one, two = binned([0.5, 3.0]), binned([0.7, 5.0, -1.0])
    assert ((one + two).counted == binned([0.5, 3.0, 0.7, 5.0, -1.0]).counted).all()
    with pytest.raises(BadInputError, match="edges: expected the same in both"):
        one + Histogram.of([0.0, 1.0], [3])


def test_many_rollouts_at_once_are_each_their_own() -> None:
    counted = np.random.default_rng(7).poisson(30, (4, 5))
    test = QuantileTest(Side.HARM, 0.9)
    together = test.log_e(Histogram.of(EDGES, counted), Histogram.of(EDGES, counted[::-1]))
    apart = [
        test.log_e(Histogram.of(EDGES, a), Histogram.of(EDGES, b)) for a, b in zip(counted, counted[::-1], strict=True)
    ]
    assert together == pytest.approx(np.array(apart))


@pytest.mark.parametrize("side", list(Side))
def test_equal_arms_are_told_apart_no_more_often_than_promised(side: Side, keeps_level: Judge) -> None:
    rng = np.random.default_rng(8)
    edges = np.concatenate([[0.0], np.geomspace(0.2, 8, 24), [np.inf]])
    test = QuantileTest(side, 0.9, n_opt=200)
    chance = np.diff(1 - np.exp(-edges))
    old, new = np.zeros((400, 25), dtype=np.int64), np.zeros((400, 25), dtype=np.int64)
    crossed = np.zeros(400, dtype=np.bool_)
    for _ in range(40):
        old += rng.multinomial(20, chance, 400)
        new += rng.multinomial(20, chance, 400)
        crossed |= test.log_e(Histogram.of(edges, old), Histogram.of(edges, new)) >= np.log(20)
    keeps_level(crossed, 0.05)


def test_a_slower_challenger_is_found_unless_the_margin_allows_it() -> None:
    rng = np.random.default_rng(9)
    old, new = Sample.of(rng.exponential(size=3_000)), Sample.of(1.5 * rng.exponential(size=3_000))
    assert QuantileTest(Side.HARM, 0.95).log_e(old, new) > np.log(1_000)
    assert QuantileTest(Side.HARM, 0.95, ratio=1.5).log_e(old, new) < 0
    assert QuantileTest(Side.HARM, 0.95, shift=10.0).log_e(old, new) < 0
    assert QuantileTest(Side.SAFE, 0.95, ratio=2.0).log_e(old, new) > np.log(20)
    assert QuantileTest(Side.SAFE, 0.95, ratio=1.4).log_e(old, new) < 0


def test_an_arm_without_values_is_no_evidence() -> None:
    empty = Histogram.of(EDGES, np.zeros(5))
    for side in Side:
        assert QuantileTest(side, 0.9).log_e(empty, binned([9.0] * 200)) <= 1e-9
        assert QuantileTest(side, 0.9).log_e(binned([9.0] * 200), empty) <= 1e-9
        assert QuantileTest(side, 0.9).log_e(empty, empty) <= 1e-9
    assert QuantileTest(Side.HARM, 0.9).log_e(Sample.of([]), Sample.of([])) <= 1e-9


def test_one_arm_against_a_limit() -> None:
    assert exceedance_log_e(30, 1_000, 0.01) > np.log(20)
    assert exceedance_log_e(10, 1_000, 0.01) < 0
    with pytest.raises(BadInputError, match="above: expected at most `size`"):
        exceedance_log_e(11, 10, 0.01)


def test_edges_must_ascend() -> None:
    with pytest.raises(BadInputError, match="edges: expected ascending numbers"):
        Histogram.of([0, 2, 1], [1, 1])
    with pytest.raises(BadInputError, match=r"counted: expected shape \(\.\.\., 2\)"):
        Histogram.of([0, 1, 2], [1])
