"""The asymptotic interval: right in the limit, tightest where it was tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.asymptotic import asymptotic_radius

if TYPE_CHECKING:
    from tests.unit.rollout.evidence.conftest import Judge


@pytest.mark.parametrize("one_sided", [True, False])
def test_a_mean_with_known_variance_stays_inside(one_sided: bool, keeps_level: Judge) -> None:
    n = np.arange(1, 1_001)
    means = np.cumsum(np.random.default_rng(19).normal(size=(1_000, 1_000)), axis=1) / n
    radius = asymptotic_radius(n, 1 / np.sqrt(n), 0.05, 300, one_sided=one_sided)
    keeps_level(((means if one_sided else np.abs(means)) > radius).any(axis=1), 0.05)


def test_it_is_tightest_near_its_n_and_one_side_is_tighter() -> None:
    here = asymptotic_radius(5_000, 0.01, 0.05, 5_000)
    assert here < asymptotic_radius(5_000, 0.01, 0.05, 500)
    assert here < asymptotic_radius(5_000, 0.01, 0.05, 50_000)
    assert asymptotic_radius(5_000, 0.01, 0.05, 5_000, one_sided=True) < here


def test_no_units_are_refused() -> None:
    with pytest.raises(BadInputError, match="n: expected above 0"):
        asymptotic_radius(0, 0.1, 0.05)
