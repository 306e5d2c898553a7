"""The router's split: expectation one under the intended shares, whatever the epochs, and no alarm too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.shares import mismatch_log_e, multinomial_log_e, sequential_p

if TYPE_CHECKING:
    from tests.unit.rollout.evidence.conftest import Judge

SHARES = [[0.95, 0.05], [0.5, 0.5]]


@pytest.mark.parametrize("concentration", [2.0, 100.0, 10_000.0])
def test_evidence_has_mean_one_under_the_intended_shares(concentration: float) -> None:
    k = np.arange(61)
    e = np.exp(mismatch_log_e(np.stack([k, 60 - k], axis=-1), [0.3, 0.7], concentration))
    assert stats.binom.pmf(k, 60, 0.3) @ e == pytest.approx(1, abs=1e-9)


@given(st.lists(st.lists(st.integers(0, 500), min_size=3, max_size=3), min_size=1, max_size=6), st.randoms())
def test_only_the_counts_matter_not_their_batches_or_order(batches: list[list[int]], random: object) -> None:
    shuffled = sorted(batches, key=lambda _: random.random())  # type: ignore[attr-defined]
    once = mismatch_log_e(np.sum(batches, axis=0), [0.2, 0.3, 0.5])
    assert mismatch_log_e(np.cumsum(shuffled, axis=0), [0.2, 0.3, 0.5])[-1] == pytest.approx(once, abs=1e-9)


def test_epochs_with_shares_of_their_own_multiply() -> None:
    counted = np.array([[940, 60], [480, 520]])
    apart = [mismatch_log_e(row, share) for row, share in zip(counted, SHARES, strict=True)]
    assert mismatch_log_e(counted, SHARES) == pytest.approx(sum(apart))


def test_a_ramp_that_is_kept_is_not_a_mismatch(keeps_level: Judge) -> None:
    rng = np.random.default_rng(5)
    first = np.cumsum(rng.random((1_000, 400)) < 0.05, axis=1)
    second = np.cumsum(rng.random((1_000, 400)) < 0.5, axis=1)
    n = np.arange(1, 401)
    for concentration in (10.0, 10_000.0):
        early = mismatch_log_e(np.stack([n - first, first], axis=-1), SHARES[0], concentration)
        late = mismatch_log_e(np.stack([n - second, second], axis=-1), SHARES[1], concentration)
        path = np.concatenate([early, early[:, -1:] + late], axis=1)
        keeps_level((path >= np.log(20)).any(axis=1), 0.05)


def test_a_router_that_is_off_by_a_tenth_is_found() -> None:
    assert mismatch_log_e([9_450, 550], [0.95, 0.05], 100) < np.log(20)
    assert mismatch_log_e([94_500, 5_500], [0.95, 0.05]) > np.log(1e4)


def test_the_p_value_never_rises() -> None:
    p = sequential_p([-1.0, 0.5, 0.2, 3.0, -9.0])
    assert p == pytest.approx([1, np.exp(-0.5), np.exp(-0.5), np.exp(-3), np.exp(-3)])


def test_bad_shares_are_refused() -> None:
    with pytest.raises(BadInputError, match="intended: expected shares that sum to 1"):
        mismatch_log_e([1, 2], [0.3, 0.3])
    with pytest.raises(BadInputError, match="counted: expected shape"):
        mismatch_log_e([1, 2, 3], [0.5, 0.5])
    with pytest.raises(BadInputError, match="prior"):
        multinomial_log_e([1, 2], [0.5, 0.5], [0, 1])
