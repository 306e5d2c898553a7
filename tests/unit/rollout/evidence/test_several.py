"""Many guardrails at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.ramp import RatioTest, Side
from fairlead.rollout.evidence.several import all_safe, averaged, discoveries, divided, harmful, strongest

if TYPE_CHECKING:
    from tests.unit.rollout.evidence.conftest import Judge

LOG_E = st.lists(st.floats(-20, 20), min_size=1, max_size=12)


def test_levels_are_divided_by_weight() -> None:
    assert divided(0.05, [3, 1, 1]) == pytest.approx([0.03, 0.01, 0.01])
    assert harmful(np.log([40.0, 40.0, 150.0]), 0.05, [3, 1, 1]).tolist() == [True, False, True]
    assert harmful(np.log([39.0, 41.0]), 0.05).tolist() == [False, True]


def test_promotion_needs_every_guardrail_and_no_correction() -> None:
    assert all_safe(np.log([[20.1, 20.1, 20.1], [1e6, 1e6, 19.0]]), 0.05).tolist() == [True, False]


@given(LOG_E)
def test_a_mean_lies_between_the_least_and_the_largest(log_e: list[float]) -> None:
    assert min(log_e) - 1e-9 <= averaged(log_e) <= max(log_e) + 1e-9
    assert np.exp(averaged(log_e)) == pytest.approx(np.exp(log_e).mean())


@given(LOG_E)
def test_discoveries_are_the_largest_and_keep_to_their_definition(log_e: list[float]) -> None:
    found = discoveries(log_e, 0.1)
    if found.any():
        count = int(found.sum())
        assert np.min(np.exp(np.array(log_e)[found])) >= len(log_e) / (0.1 * count) * (1 - 1e-9)
        assert max(np.array(log_e)[~found], default=-np.inf) <= min(np.array(log_e)[found])


def test_discoveries_grow_with_each_other() -> None:
    # Alone, 60 would need 5 / 0.05 = 100; as the second of two it needs half of that.
    assert discoveries(np.log([1_000.0, 60.0, 1.0, 1.0, 1.0]), 0.05).tolist() == [True, True, False, False, False]
    assert discoveries(np.log([10.0, 60.0, 1.0, 1.0, 1.0]), 0.05).tolist() == [False] * 5


@given(LOG_E, st.integers(0, 30))
def test_the_strongest_tells_whether_there_are_discoveries_and_is_an_e_value(log_e: list[float], unseen: int) -> None:
    size = len(log_e) + unseen
    value = strongest(log_e, size)
    assert value <= averaged([*log_e, *[0.0] * unseen]) + 1e-9
    assert discoveries(log_e, 0.1, size).any() == (value >= -np.log(0.1))
    assert discoveries(log_e, 0.1, size).tolist() == discoveries([*log_e, *[0.0] * unseen], 0.1)[: len(log_e)].tolist()


def test_false_discoveries_are_rare_under_any_dependence(keeps_level: Judge) -> None:
    noise = np.random.default_rng(18).exponential(size=(2_000, 1))
    # exp(x / 2) / 2 has mean one under an exponential law; all ten slices share it
    false = [discoveries(np.repeat(row / 2 - np.log(2), 10), 0.1).any() for row in noise]
    keeps_level(np.array(false), 0.1)


def test_no_slice_harmed_is_rarely_taken_for_one_however_often_one_looks(keeps_level: Judge) -> None:
    """A/A with twenty slices of unequal size over a ramp, looked at sixty times."""
    rng, rollouts, alpha = np.random.default_rng(11), 400, 0.1
    sizes = np.geomspace(2, 60, 20)
    share = np.array([0.1, 0.5])
    test = RatioTest(Side.HARM, 1.0)
    mine, events = np.zeros((2, rollouts, 20, 2), dtype=np.int64)
    alarmed = np.zeros(rollouts, dtype=np.bool_)
    for look in range(60):
        epoch = int(look >= 30)
        new = rng.poisson(sizes, (rollouts, 20))
        events[..., epoch] += new
        mine[..., epoch] += rng.binomial(new, share[epoch])
        log_e = test.log_e(share, mine, events)
        alarmed |= [bool(discoveries(row, alpha, 34).any()) for row in log_e]
    keeps_level(alarmed, alpha)


def test_weights_must_fit() -> None:
    with pytest.raises(BadInputError, match="weights: expected 2 numbers, got 3"):
        harmful([1.0, 2.0], 0.05, [1, 1, 1])
    with pytest.raises(BadInputError, match="weights: expected one or more numbers above 0"):
        divided(0.05, [1, 0])
    with pytest.raises(BadInputError, match="log_e: expected numbers, got NaN"):
        averaged([np.nan])
    with pytest.raises(BadInputError, match="log_e: expected one axis"):
        discoveries([[1.0]], 0.05)
    with pytest.raises(BadInputError, match="size: expected at least 2, got 1"):
        strongest([1.0, 2.0], 1)
