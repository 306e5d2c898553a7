"""Textbook tables of repeated looks, as usually quoted; the recursion gives them anew.

Sources: Armitage, McPherson and Rowe, JRSS A 1969 (error of repeated tests at 5 %); Lan and DeMets, Biometrika 1983
(O'Brien-Fleming type bounds of five equal looks, two-sided 5 %).
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from fairlead.rollout.evidence.spending import crossing_probability, obrien_fleming_bounds


@pytest.mark.parametrize(
    ("looks", "error"), [(1, 0.05), (2, 0.083), (5, 0.142), (10, 0.193), (20, 0.248), (50, 0.320), (100, 0.374)]
)
def test_what_peeking_does_to_a_test_at_five_percent(looks: int, error: float) -> None:
    information = np.arange(1, looks + 1) / looks
    z = np.full(looks, special.ndtri(0.975))
    assert crossing_probability(information, z, two_sided=True) == pytest.approx(error, abs=6e-4)


def test_obrien_fleming_bounds_by_spending() -> None:
    bounds = obrien_fleming_bounds(np.arange(1, 6) / 5, 0.05, two_sided=True)
    assert bounds == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)
