"""Distances of samples are those of SciPy, whatever the sizes and ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairlead.monitor.samples import apart, trimmed

few = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=60)
many = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60)


@given(few | many, few | many)
def test_exact_distances_are_those_of_scipy(reference: list[float], current: list[float]) -> None:
    found = apart(np.sort(reference), np.sort(current))
    assert found.ks == pytest.approx(stats.ks_2samp(reference, current, method="asymp").statistic, abs=1e-12)
    assert found.wasserstein == pytest.approx(stats.wasserstein_distance(reference, current), rel=1e-9, abs=1e-9)
    assert found.distinct == len({*reference, *current})


@given(many, many, st.floats(-100, 100), st.floats(0.1, 10))
def test_ks_does_not_see_a_change_of_unit(first: list[float], second: list[float], shift: float, scale: float) -> None:
    one, other = np.sort(np.round(first)), np.sort(np.round(second))
    before, after = apart(one, other), apart(one * scale + shift, other * scale + shift)
    assert after.ks == pytest.approx(before.ks, abs=1e-12)
    assert after.wasserstein == pytest.approx(before.wasserstein * scale, rel=1e-6, abs=1e-6)


def test_the_robust_distance_is_wassersteins_of_clipped_values() -> None:
    rng = np.random.default_rng(3)
    reference, current = np.sort(rng.normal(size=4_000)), np.sort(rng.normal(0.4, 1.2, size=3_000))
    low, high, spread = trimmed(reference)
    clipped = np.clip(reference, low, high), np.clip(current, low, high)
    expected = stats.wasserstein_distance(*clipped) / np.std(clipped[0])
    assert spread == pytest.approx(np.std(clipped[0]))
    assert apart(reference, current).robust_wasserstein == pytest.approx(expected)


def test_a_constant_reference_has_no_unit() -> None:
    assert apart(np.ones(50), np.full(50, 2.0)).robust_wasserstein == 0.0
    assert apart(np.ones(50), np.full(50, 2.0)).ks == 1.0
