"""Values published by confseq (Howard, Ramdas, McAuliffe, Sekhon): its C++ unit tests and its treatment-effect demo.

Sources: github.com/gostevehoward/confseq, test/uniform_boundaries_unittest.cpp (values there are "from a reference
implementation in R") and demo/ate_data.csv, of which the first hundred rows are used.
"""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.rollout.evidence.bernoulli import bernoulli_interval
from fairlead.rollout.evidence.means import Effects
from fairlead.rollout.evidence.mixtures import (
    BetaBinomialMixture,
    GammaExponentialMixture,
    GammaPoissonMixture,
    Mixture,
    NormalMixture,
    best_rho,
    bound,
)
from fairlead.rollout.evidence.quantile import QuantileTest, Sample, exceedance_log_e
from fairlead.rollout.evidence.ramp import Side
from fairlead.rollout.evidence.stitching import DoubleStitching, Stitching, empirical_process_radius

OUTCOMES = """
    1001010001 0000101000 1111101000 0101100100 0000100100 0000000010 0000010000 0011010000 0000010001 0000011010
"""
TREATMENTS = """
    1000010011 1001001011 0110010001 0101111001 1110100111 0010110011 1110010111 1000000101 0000111001 0010010001
"""


def bits(text: str) -> np.ndarray:
    return np.array([int(bit) for bit in text if bit in "01"], dtype=np.float64)


def test_precision_of_the_two_sided_normal_mixture() -> None:
    assert best_rho(100, 0.05, one_sided=False) == pytest.approx(12.60056, abs=1e-5)


@pytest.mark.parametrize(
    ("mixture", "log_e", "at_alpha"),
    [
        (NormalMixture(100, one_sided=False), -0.6510052, 30.35209),
        (NormalMixture(100), -0.06502391, 27.66071),
        (GammaExponentialMixture(100, 2), -0.2490165, 33.02017),
        (GammaPoissonMixture(100, 2), -0.06991219, 30.1949),
        (BetaBinomialMixture(100, 0.2, 0.8, one_sided=False), -0.6941012, 31.4308),
        (BetaBinomialMixture(100, 0.2, 0.8), -0.07134019, 28.41238),
    ],
    ids=str,
)
def test_mixtures(mixture: Mixture, log_e: float, at_alpha: float) -> None:
    assert float(mixture.log_e(10, 100)) == pytest.approx(log_e, abs=1e-5)
    assert bound(mixture, 100, 0.05) == pytest.approx(at_alpha, abs=1e-5)


def test_stitching() -> None:
    assert Stitching(10, c=3).bound(100, 0.05) == pytest.approx(64.48755, abs=1e-5)
    assert Stitching(10, c=-1).bound(100, 0.05) == pytest.approx(28.99389, abs=1e-5)


@pytest.mark.parametrize(("quantile", "published"), [(0.5, 68.62803), (0.9, 43.72119), (0.1, 59.96521)])
def test_double_stitching(quantile: float, published: float) -> None:
    assert DoubleStitching(100).bound(quantile, 1_000, 0.05) == pytest.approx(published, abs=1e-5)


def test_empirical_process() -> None:
    assert float(empirical_process_radius(1_000, 0.05, 100)) == pytest.approx(0.08204769, abs=1e-5)


@pytest.mark.parametrize(
    ("successes", "trials", "t_opt", "low", "high"),
    [
        (700, 1_000, 100, 0.651629, 0.745949),
        (15, 50, 50, 0.129556, 0.511896),
        (5, 50, 50, 0.013021, 0.269264),
        (1, 50, 50, 0.0, 0.13489),
        (1, 2, 50, 0.0, 1.0),
        (100, 200, 1, 0.328923, 0.671076),
        (0, 1, 50, 0.0, 1.0),
        (1, 1, 50, 0.0, 1.0),
    ],
)
def test_bernoulli_intervals(successes: int, trials: int, t_opt: int, low: float, high: float) -> None:
    interval = bernoulli_interval(successes, trials, 0.05, t_opt)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-5)


@pytest.mark.parametrize(
    ("q", "offset", "p"), [(0.5, 70, 0.814704), (0.5, 85, 0.0838055), (0.5, 100, 0.0054947), (0.9, 55, 0.0340463)]
)
def test_quantiles_of_two_arms(q: float, offset: int, p: float) -> None:
    values = np.arange(1.0, 1_001.0)
    log_e = QuantileTest(Side.EITHER, q, n_opt=100).log_e(Sample.of(values), Sample.of(values + offset))
    assert np.exp(-log_e) == pytest.approx(p, abs=1e-6)


def test_average_treatment_effect() -> None:
    y, arm = bits(OUTCOMES), bits(TREATMENTS)
    effects = Effects(propensity=0.5, variance=0.2 * 0.8, n_opt=50)
    p = np.minimum(np.exp(-effects.log_e(y, arm)), 1)
    published = [0.983920078788205, 0.803732245074608, 0.654114340727266, 1, 1, 0.94028246312668, 0.75981171256372]
    assert p[:7] == pytest.approx(published, abs=1e-9)
    for n, estimate, low, high in [
        (50, 0.146713386260021, -0.62217549773304, 0.915602270253082),
        (100, 0.106826716602117, -0.355019952853719, 0.568673386057953),
    ]:
        assert effects.sums(y[:n], arm[:n])[0][-1] / n == pytest.approx(estimate, abs=1e-12)
        interval = effects.interval(y[:n], arm[:n], 0.05)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("q", "band"), [(0.95, 3_035), (0.99, 78_113)])
def test_tails_need_a_test_of_the_quantile_not_a_band_of_the_whole_distribution(q: float, band: int) -> None:
    """Values until there is any upper limit of a quantile: for the published closed form of the band, and for ours."""
    n = np.arange(1, 100_000)
    radius = 0.85 * np.sqrt((np.log(np.log(np.e * n)) + 0.8 * np.log(1_612 / 0.05)) / n)
    assert n[radius < 1 - q][0] == pytest.approx(band, rel=1e-3)
    # All of n values lie below the limit: that is evidence that more than q of them do.
    enough = exceedance_log_e(n[:3_000], n[:3_000], q, n_opt=1_000) >= np.log(20)
    assert n[:3_000][enough][0] < band / 10
