"""Values published by two implementations of the multinomial test of Lindon and Malek (NeurIPS 2022).

Sources: Optimizely's package ssrm-test (its unit and regression tests, and its notebook on the experiment that R.
Kohavi tweeted about: 1,637,070 visitors, 50.2 to 49.8) and github.com/assuncaolfi/savvi (examples). Random streams
are numpy's legacy ones, which are frozen.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from fairlead.rollout.evidence.shares import mismatch_log_e, multinomial_log_e, sequential_p


def draws(seed: int, shares: list[float], size: int) -> np.ndarray:
    """Cumulative counts after each unit."""
    return np.cumsum(np.random.RandomState(seed).multinomial(1, shares, size=size), axis=0)


def test_ssrm_marginal_likelihoods() -> None:
    batches = np.array([[20, 17, 9], [18, 21, 8], [4, 6, 4], [18, 19, 11]])
    null = np.array([0.4, 0.4, 0.2])
    expected_m0 = [-4.0776406466061985, -8.265946861099877, -11.610743519545139, -15.781031228536165]
    expected_m1 = [-7.028201432058012, -11.947847738358888, -15.471401950257842, -19.96484521090386]
    m0 = np.cumsum([stats.multinomial.logpmf(row, row.sum(), null) for row in batches])
    m1 = m0 + multinomial_log_e(np.cumsum(batches, axis=0), null, [1, 1, 1])
    assert m0 == pytest.approx(expected_m0, abs=1e-12)
    assert m1 == pytest.approx(expected_m1, abs=1e-12)


def test_ssrm_one_unit_at_a_time() -> None:
    units = np.cumsum([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], axis=0)
    m1 = [-1.0986122886681096, -2.4849066497880004, -3.401197381662155, -4.499809670330265, -6.4457198193855785]
    m0 = [-0.916290731874155, -1.83258146374831, -2.748872195622465, -3.66516292749662, -5.27460083993072]
    assert multinomial_log_e(units, [0.4, 0.4, 0.2], [1, 1, 1]) == pytest.approx(np.subtract(m1, m0), abs=1e-12)


def test_ssrm_regression() -> None:
    log_e = mismatch_log_e(draws(0, [0.1, 0.49, 0.41], 10), [0.1, 0.5, 0.4])
    assert sequential_p(log_e)[-1] == pytest.approx(0.9980534145723241, abs=1e-12)
    assert np.exp(log_e[-1]) == pytest.approx(1.0017496120131435, abs=1e-12)


def test_ssrm_notebook_of_a_real_mismatch() -> None:
    counted = draws(1, [0.502, 0.498], 1_637_070)
    log_e = mismatch_log_e(counted, [0.5, 0.5])
    assert np.flatnonzero(log_e >= np.log(20))[0] + 1 == 598_209
    assert counted[-1].tolist() == [821_935, 815_135]
    assert stats.binomtest(821_935, 1_637_070, 0.5).pvalue == pytest.approx(1.1e-7, rel=0.05)


def test_savvi_multinomial() -> None:
    log_e = mismatch_log_e(draws(1, [0.1, 0.3, 0.6], 1_000), [0.1, 0.4, 0.5], 100)
    stopped = np.flatnonzero(log_e >= np.log(20))[0]
    assert stopped + 1 == 402
    assert sequential_p(log_e)[stopped] == pytest.approx(0.04845591105969517, abs=1e-12)


def test_savvi_poisson() -> None:
    share, rate = np.array([0.8, 0.2]), np.exp([1.5, 2.0])
    counted = draws(1, list(share * rate / (share * rate).sum()), 400)
    log_e = mismatch_log_e(counted, share, 100)
    stopped = np.flatnonzero(log_e >= np.log(20))[0]
    assert stopped + 1 == 210
    assert sequential_p(log_e)[stopped] == pytest.approx(0.0456, abs=5e-5)

    # The published interval is the intersection of those at all looks so far, with the prior kept where it was.
    def excess(log_ratio: float, look: int) -> float:
        shares = share * np.exp([0, log_ratio])
        return float(multinomial_log_e(counted[look], shares / shares.sum(), 100 * share)) - float(np.log(20))

    looks = range(20, stopped + 1)
    low = max(optimize.brentq(excess, -9, np.log(counted[n, 1] / counted[n, 0] * 4), args=(n,)) for n in looks)
    high = min(optimize.brentq(excess, np.log(counted[n, 1] / counted[n, 0] * 4), 9, args=(n,)) for n in looks)
    assert (low, high) == pytest.approx((0.0046, 0.7549), abs=1e-4)
