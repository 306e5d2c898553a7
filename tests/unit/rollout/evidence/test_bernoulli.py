"""The confidence sequence of a share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.bernoulli import bernoulli_interval

if TYPE_CHECKING:
    from tests.unit.rollout.evidence.conftest import Judge


@given(trials=st.integers(1, 3_000), part=st.floats(0, 1))
def test_the_interval_holds_what_was_seen_and_mirrors_it(trials: int, part: float) -> None:
    successes = round(part * trials)
    interval = bernoulli_interval(successes, trials, 0.05, 100)
    mirrored = bernoulli_interval(trials - successes, trials, 0.05, 100)
    assert successes / trials in interval
    assert mirrored.low == pytest.approx(1 - interval.high, abs=1e-6)


def test_more_confidence_is_wider_and_more_trials_are_narrower() -> None:
    interval = bernoulli_interval(30, 100, 0.05, 100)
    wider, narrower = bernoulli_interval(30, 100, 0.01, 100), bernoulli_interval(300, 1_000, 0.05, 100)
    assert wider.low < interval.low < narrower.low < narrower.high < interval.high < wider.high


def test_the_truth_is_left_no_more_often_than_promised(keeps_level: Judge) -> None:
    rng = np.random.default_rng(4)
    looks = np.arange(40, 401, 40)
    successes = np.cumsum(rng.random((80, 400)) < 0.1, axis=1)[:, looks - 1]
    left = [
        any(0.1 not in bernoulli_interval(int(s), int(n), 0.1, 100) for s, n in zip(row, looks, strict=True))
        for row in successes
    ]
    keeps_level(np.array(left), 0.1)


def test_more_successes_than_trials_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"successes: expected from 0 to trials \(3\), got 4"):
        bernoulli_interval(4, 3, 0.05, 100)
