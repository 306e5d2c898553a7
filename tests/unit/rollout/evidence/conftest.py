"""How a measured false-alarm rate is judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy import stats

Judge = Callable[[ArrayLike, float], None]


def keeps(crossings: ArrayLike, alpha: float) -> None:
    """Fail if so many crossings are less likely than one in ten thousand at a rate of `alpha`."""
    crossed = np.asarray(crossings, dtype=np.bool_)
    surprise = stats.binom.sf(crossed.sum() - 1, crossed.size, alpha)
    assert surprise > 1e-4, f"{crossed.sum()} of {crossed.size} crossed at level {alpha}"


@pytest.fixture
def keeps_level() -> Judge:
    return keeps


def test_the_judge_can_fail() -> None:
    with pytest.raises(AssertionError, match="100 of 1000"):
        keeps(np.arange(1000) < 100, 0.05)
