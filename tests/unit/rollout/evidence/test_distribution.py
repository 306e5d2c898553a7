"""Score shift: expectation one under equality, drift in both arms cancels, shapes of all kinds are found."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import special, stats

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.distribution import kolmogorov_smirnov, share_log_ratio, shift_log_e

if TYPE_CHECKING:
    from tests.unit.rollout.evidence.conftest import Judge


@pytest.mark.parametrize("reference", [None, [0.9, 0.1, 0.0]])
def test_evidence_has_mean_one_where_scores_are_alike(reference: list[float] | None) -> None:
    both = np.array([[5, 4, 1], [2, 3, 3]])
    share = np.array([0.1, 0.5])
    outcomes = np.array(list(product(*(range(n + 1) for n in both.flat)))).reshape(-1, 2, 3)
    chance = stats.binom.pmf(outcomes, both, share[:, None]).prod(axis=(1, 2))
    log_e = shift_log_e(share, outcomes, np.broadcast_to(both, outcomes.shape), reference)
    assert chance @ np.exp(log_e) == pytest.approx(1, abs=1e-9)


def test_scores_that_drift_in_both_arms_alike_are_no_shift(keeps_level: Judge) -> None:
    rng = np.random.default_rng(10)
    mine, both = np.zeros((400, 2, 6)), np.zeros((400, 2, 6))
    crossed = np.zeros(400, dtype=np.bool_)
    for look in range(40):
        epoch = look // 20
        drifting = special.softmax(np.arange(6) * (look - 20) / 40)
        new = rng.poisson(60 * drifting, (400, 6))
        both[:, epoch] += new
        mine[:, epoch] += rng.binomial(new, [0.1, 0.5][epoch])
        crossed |= shift_log_e([0.1, 0.5], mine, both) >= np.log(20)
    keeps_level(crossed, 0.05)


@pytest.mark.parametrize("true_share", [[0.1, 0.5], [0.02, 0.4], [0.3, 0.9], [0.5, 0.5]])
def test_without_the_share_there_is_no_evidence_at_any_share(true_share: list[float]) -> None:
    both = np.array([[5, 4, 1], [2, 3, 3]])
    outcomes = np.array(list(product(*(range(n + 1) for n in both.flat)))).reshape(-1, 2, 3)
    chance = stats.binom.pmf(outcomes, both, np.array(true_share)[:, None]).prod(axis=(1, 2))
    args = (np.array([0.1, 0.5]), outcomes, np.broadcast_to(both, outcomes.shape))
    assert chance @ np.exp(shift_log_e(*args) - share_log_ratio(*args)) <= 1 + 1e-9


def test_a_challenger_whose_answers_come_late_is_not_shifted() -> None:
    mine, theirs = np.array([[2, 0, 0]]), np.array([[905, 5, 3]])
    args = ([0.1], mine, mine + theirs)
    assert shift_log_e(*args) > np.log(1_000)
    assert shift_log_e(*args) - share_log_ratio(*args) < 0


def test_a_shift_is_found_though_answers_come_late() -> None:
    mine, theirs = np.array([[20, 30, 50]]), np.array([[1_900, 600, 500]])
    args = ([0.1], mine, mine + theirs)
    assert shift_log_e(*args) - share_log_ratio(*args) > np.log(1_000)


@pytest.mark.parametrize(
    "challenger",
    [[190, 195, 200, 205, 210], [170, 190, 200, 210, 230], [230, 200, 140, 200, 230], [200, 200, 120, 280, 200]],
    ids=["hardly", "moved", "spread", "one bin"],
)
def test_shifts_of_every_shape_are_found(challenger: list[int]) -> None:
    old, new = np.full(5, 20_000), np.array(challenger) * 100
    small = shift_log_e([0.5], [new // 200], [(new + old) // 200])
    large = shift_log_e([0.5], [new], [new + old])
    assert large > np.log(1_000) > small


def test_a_reference_profile_helps_where_scores_crowd() -> None:
    expected = np.array([0.9, 0.06, 0.03, 0.01])
    moved = expected * np.exp([-0.02, 0.1, 0.25, 0.4])
    counted = np.round([10_000 * expected, 10_000 * moved / moved.sum()])
    args = ([0.5], counted[None, 1], counted.sum(axis=0)[None])
    assert shift_log_e(*args, expected) > shift_log_e(*args) + 1


def test_the_band_holds_for_equal_distributions_and_ends_for_others(keeps_level: Judge) -> None:
    rng = np.random.default_rng(11)
    old, new = (np.cumsum(rng.multinomial(100, np.full(8, 1 / 8), (200, 20)), axis=1) for _ in range(2))
    differs = [
        [kolmogorov_smirnov(a, b, 0.05).differs for a, b in zip(*run, strict=True)]
        for run in zip(old, new, strict=True)
    ]
    keeps_level(np.array(differs).any(axis=1), 0.05)
    assert kolmogorov_smirnov([700, 300], [300, 700], 0.05).differs
    assert not kolmogorov_smirnov([0, 0], [3, 7], 0.05).differs


def test_shapes_must_agree() -> None:
    with pytest.raises(BadInputError, match="challenger: expected shape"):
        kolmogorov_smirnov([1, 2], [1, 2, 3], 0.05)
    with pytest.raises(BadInputError, match="reference: expected 2 shares"):
        shift_log_e([0.5], [[1, 2]], [[2, 2]], [1.0])
    with pytest.raises(BadInputError, match="challenger: expected shape"):
        shift_log_e([0.5], [1, 2], [2, 2])
