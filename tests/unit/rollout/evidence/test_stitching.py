"""Closed-form bounds: their published constants, and coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.stitching import (
    DoubleStitching,
    Stitching,
    empirical_process_radius,
    iterated_logarithm_radius,
)

if TYPE_CHECKING:
    from tests.unit.rollout.evidence.conftest import Judge


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("n", [100, 10_000, 1_000_000])
def test_the_band_is_the_published_closed_form_before_its_constants_were_rounded_up(n: int, alpha: float) -> None:
    # Howard and Ramdas 2022: 0.85 sqrt((log log(e n) + 0.8 log(1612 / alpha)) / n)
    published = 0.85 * np.sqrt((np.log(np.log(np.e * n)) + 0.8 * np.log(1612 / alpha)) / n)
    assert 0.98 * published < empirical_process_radius(n, alpha, 1) <= published


def test_there_is_no_band_before_its_first_time() -> None:
    radius = empirical_process_radius([99, 100, 101], 0.05, 100)
    assert np.isinf(radius[0])
    assert radius[1] > radius[2]


def test_the_tuned_bounds_are_tighter_near_their_time() -> None:
    assert Stitching(100).bound(100, 0.05) < Stitching(1).bound(100, 0.05)
    assert Stitching(10, c=2).bound(100, 0.05) > Stitching(10).bound(100, 0.05)
    assert DoubleStitching(1_000).bound(0.5, 1_000, 0.05) < DoubleStitching(1).bound(0.5, 1_000, 0.05)


def test_a_distribution_function_stays_in_its_band(keeps_level: Judge) -> None:
    rng = np.random.default_rng(2)
    looks = np.arange(50, 1_001, 50)
    strayed = []
    for values in rng.random((300, 1_000)):
        gaps = [np.abs(np.arange(1, n + 1) / n - np.sort(values[:n])).max() for n in looks]
        strayed.append((np.array(gaps) > empirical_process_radius(looks, 0.05, 50)).any())
    keeps_level(np.array(strayed), 0.05)


def test_a_mean_stays_within_the_iterated_logarithm(keeps_level: Judge) -> None:
    n = np.arange(1, 1_001)
    means = np.cumsum(np.random.default_rng(3).normal(size=(1_000, 1_000)), axis=1) / n
    keeps_level((np.abs(means) > iterated_logarithm_radius(n, 0.05)).any(axis=1), 0.05)


def test_bad_tuning_is_refused() -> None:
    with pytest.raises(BadInputError, match="eta: expected above 1"):
        Stitching(10, eta=1.0).bound(10, 0.05)
    with pytest.raises(BadInputError, match="t_min"):
        empirical_process_radius(10, 0.05, 0.5)
    with pytest.raises(BadInputError, match="t: expected at least 1"):
        iterated_logarithm_radius(0, 0.05)
