"""Bounded means: gamblers get rich only against a wrong mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.means import Effects, bets, capital_log, mean_interval

if TYPE_CHECKING:
    from tests.unit.rollout.evidence.conftest import Judge


def test_capital_has_mean_one_under_the_true_mean() -> None:
    """Over all 2^10 sequences of a coin."""
    sequences = (np.arange(1_024)[:, None] >> np.arange(10)) & 1
    chance = np.prod(np.where(sequences == 1, 0.3, 0.7), axis=1)
    capital = np.exp([capital_log(row, 0.3, 0.05)[-1] for row in sequences])
    assert chance @ capital == pytest.approx(1, abs=1e-9)


def test_stakes_use_the_past_only() -> None:
    x = np.random.default_rng(12).random(50)
    changed = x.copy()
    changed[30:] = 1
    assert (bets(x, 0.05)[:31] == bets(changed, 0.05)[:31]).all()
    assert bets(x, 0.05)[31] != bets(changed, 0.05)[31]


@pytest.mark.parametrize("mean", [0.05, 0.5])
def test_the_true_mean_is_refuted_no_more_often_than_promised(mean: float, keeps_level: Judge) -> None:
    draws = np.random.default_rng(13).beta(2 * mean, 2 - 2 * mean, (500, 500))
    keeps_level(np.array([capital_log(row, mean, 0.05).max() >= np.log(20) for row in draws]), 0.05)


def test_the_interval_narrows_around_the_mean() -> None:
    x = np.random.default_rng(14).beta(10, 30, 2_000)
    early, late = mean_interval(x[:100], 0.05), mean_interval(x, 0.05)
    assert 0.25 in early
    assert 0.25 in late
    assert late.high - late.low < 0.03 < early.high - early.low
    assert (mean_interval([], 0.05).low, mean_interval([], 0.05).high) == (0, 1)


def test_no_effect_is_seen_no_more_often_than_promised(keeps_level: Judge) -> None:
    rng = np.random.default_rng(15)
    effects = Effects(propensity=0.25, variance=0.09, n_opt=300)
    crossed = [effects.log_e(rng.random(600) < 0.1, rng.random(600) < 0.25).max() >= np.log(20) for _ in range(300)]
    keeps_level(np.array(crossed), 0.05)


def test_an_effect_is_seen_and_estimated() -> None:
    rng = np.random.default_rng(16)
    arm = rng.random(20_000) < 0.5
    y = rng.random(20_000) < np.where(arm, 0.3, 0.2)
    effects = Effects(propensity=0.5, variance=0.2, n_opt=5_000)
    assert effects.log_e(y, arm)[-1] > np.log(20)
    interval = effects.interval(y, arm, 0.05)
    assert 0.1 in interval
    assert interval.low > 0


def test_outcomes_out_of_bounds_are_refused() -> None:
    with pytest.raises(BadInputError, match="outcomes: expected from 0 to 1"):
        capital_log([0.5, 1.2], 0.5, 0.05)
    with pytest.raises(BadInputError, match=r"outcomes: expected from 0\.0 to 1\.0"):
        Effects(0.5).log_e([2.0], [1.0])
    with pytest.raises(BadInputError, match="propensity"):
        Effects(0.0)
