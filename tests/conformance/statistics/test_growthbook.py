"""A sequential interval published by GrowthBook.

Source: github.com/growthbook/growthbook, packages/stats/tests/frequentist/test_tests.py,
test_sequential_test_runs: relative difference of two means, tuned to 1,000.
"""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.rollout.evidence.asymptotic import asymptotic_radius


def moments(total: float, squares: float, n: int) -> tuple[float, float]:
    mean = total / n
    return mean, (squares - n * mean**2) / (n - 1) / n


def test_sequential_test_runs() -> None:
    (a, var_a), (b, var_b) = moments(1396.87, 52377.9767, 3000), moments(2422.7, 134698.29, 3461)
    effect = (b - a) / a
    error = np.sqrt(var_b / a**2 + var_a * b**2 / a**4)
    radius = float(asymptotic_radius(3000 + 3461, error, 0.05, 1_000))
    assert effect == pytest.approx(0.50336, abs=5e-6)
    assert error == pytest.approx(0.33341, abs=5e-6)
    assert (effect - radius, effect + radius) == pytest.approx((-0.55844, 1.56516), abs=5e-6)
