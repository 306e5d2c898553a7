"""Mixtures are martingales where they say so: expectations that can be summed are summed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.mixtures import (
    BetaBinomialMixture,
    GammaExponentialMixture,
    GammaPoissonMixture,
    Mixture,
    NormalMixture,
    best_rho,
    bound,
)

if TYPE_CHECKING:
    from tests.unit.rollout.evidence.conftest import Judge

ALL: list[Mixture] = [
    NormalMixture(100),
    NormalMixture(100, one_sided=False),
    GammaExponentialMixture(100, 2),
    GammaPoissonMixture(100, 2),
    BetaBinomialMixture(100, 0.2, 0.8),
    BetaBinomialMixture(100, 0.2, 0.8, one_sided=False),
]


def coin_mean(mixture: BetaBinomialMixture, tossed: int, p: float, true: float) -> float:
    k = np.arange(tossed + 1)
    log_e = mixture.log_e(k - p * tossed, p * (1 - p) * tossed)
    return float(np.exp(stats.binom.logpmf(k, tossed, true) + log_e).sum())


@pytest.mark.parametrize("one_sided", [True, False])
@pytest.mark.parametrize("p", [0.01, 0.3, 0.99])
def test_evidence_on_a_coin_has_mean_one(p: float, one_sided: bool) -> None:
    mixture = BetaBinomialMixture(50 * p * (1 - p), p, 1 - p, one_sided=one_sided)
    for tossed in (1, 7, 200):
        assert coin_mean(mixture, tossed, p, p) == pytest.approx(1, abs=1e-9)


def test_evidence_for_more_has_mean_below_one_under_less() -> None:
    mixture = BetaBinomialMixture(50 * 0.21, 0.3, 0.7)
    means = [coin_mean(mixture, 100, 0.3, true) for true in (0.1, 0.2, 0.25)]
    assert max(means) < 1
    assert coin_mean(mixture, 100, 0.3, 0.4) > 1


@pytest.mark.parametrize("one_sided", [True, False])
def test_evidence_on_a_normal_sum_has_mean_one(one_sided: bool) -> None:
    mixture = NormalMixture(30, one_sided=one_sided)

    def density(s: float) -> float:
        return float(np.exp(mixture.log_e(s, 25.0) + stats.norm.logpdf(s, scale=5)))

    assert integrate.quad(density, -500, 500, points=[-5, 0, 5], limit=400)[0] == pytest.approx(1, abs=1e-6)


def test_evidence_on_a_poisson_count_has_mean_one() -> None:
    k = np.arange(2_000)
    log_e = GammaPoissonMixture(20, 1).log_e(k - 30.0, 30.0)
    assert np.exp(stats.poisson.logpmf(k, 30.0) + log_e).sum() == pytest.approx(1, abs=1e-9)


def test_evidence_on_exponential_waits_has_mean_one() -> None:
    mixture = GammaExponentialMixture(20, 1)

    def density(total: float) -> float:
        return float(np.exp(mixture.log_e(total - 12.0, 12.0) + stats.gamma.logpdf(total, 12)))

    # The tail falls only as a power: the mixture has bets that nearly double the stake at each wait.
    parts = [integrate.quad(density, low, high, limit=400)[0] for low, high in ((0, 50), (50, 5e3), (5e3, 5e5))]
    assert sum(parts) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("mixture", ALL, ids=str)
def test_the_bound_is_where_evidence_is_enough(mixture: Mixture) -> None:
    for alpha in (0.3, 0.05, 1e-6):
        assert float(mixture.log_e(bound(mixture, 80.0, alpha), 80.0)) == pytest.approx(-np.log(alpha), abs=1e-6)
    assert bound(mixture, 80.0, 1e-3) > bound(mixture, 80.0, 1e-2)


@pytest.mark.parametrize("mixture", ALL, ids=str)
@given(s=st.floats(10, 60), more=st.floats(0.1, 30))
def test_evidence_grows_with_the_sum(mixture: Mixture, s: float, more: float) -> None:
    assert mixture.log_e(s + more, 100.0) > mixture.log_e(s, 100.0)


def test_a_bound_that_no_sum_reaches_is_the_largest_sum() -> None:
    assert bound(BetaBinomialMixture(100, 0.2, 0.8), 2 * 0.2 * 0.8, 0.05) == pytest.approx(2 * 0.8)


def test_a_random_walk_crosses_no_more_often_than_promised(keeps_level: Judge) -> None:
    walk = np.cumsum(np.random.default_rng(1).normal(size=(1_000, 1_000)), axis=1)
    for mixture in (NormalMixture(200), NormalMixture(200, one_sided=False)):
        keeps_level((mixture.log_e(walk, np.arange(1, 1_001)) >= np.log(20)).any(axis=1), 0.05)


def test_one_side_at_half_the_level_has_the_same_precision() -> None:
    assert best_rho(100, 0.025) == best_rho(100, 0.05, one_sided=False)
    with pytest.raises(BadInputError, match=r"alpha_opt: expected below 0\.5"):
        best_rho(100, 0.5)
