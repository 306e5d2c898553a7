"""Group-sequential bounds spend exactly their level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.spending import crossing_probability, obrien_fleming_bounds, obrien_fleming_spent


@pytest.mark.parametrize("two_sided", [True, False])
@given(looks=st.lists(st.floats(0.1, 0.95), min_size=0, max_size=5, unique_by=lambda x: round(x, 2)))
def test_the_whole_level_is_spent_and_no_more(two_sided: bool, looks: list[float]) -> None:
    information = [*sorted(looks), 1.0]
    bounds = obrien_fleming_bounds(information, 0.05, two_sided=two_sided)
    assert crossing_probability(information, bounds, two_sided=two_sided) == pytest.approx(0.05, abs=1e-5)


def test_one_look_is_the_fixed_sample_test() -> None:
    assert obrien_fleming_bounds([1.0], 0.05) == pytest.approx([special.ndtri(0.95)])
    drift = special.ndtri(0.95) + special.ndtri(0.8)
    assert crossing_probability([1.0], [special.ndtri(0.95)], drift) == pytest.approx(0.8)


def test_looking_more_often_costs_little_power() -> None:
    drift = special.ndtri(0.95) + special.ndtri(0.8)
    information = np.arange(1, 6) / 5
    power = crossing_probability(information, obrien_fleming_bounds(information, 0.05), drift)
    assert 0.77 < power < 0.8


def test_simulated_walks_cross_as_often() -> None:
    information = np.array([0.3, 0.6, 1.0])
    bounds = obrien_fleming_bounds(information, 0.05)
    steps = np.random.default_rng(20).normal(size=(200_000, 3)) * np.sqrt(np.diff(information, prepend=0))
    z = np.cumsum(steps, axis=1) / np.sqrt(information) + 1.5 * np.sqrt(information)
    assert (z > bounds).any(axis=1).mean() == pytest.approx(crossing_probability(information, bounds, 1.5), abs=5e-3)


def test_spending_ends_at_the_level() -> None:
    assert obrien_fleming_spent([0.2, 0.5, 1.0], 0.05)[-1] == pytest.approx(0.05)
    with pytest.raises(BadInputError, match="information: expected fractions"):
        obrien_fleming_spent([1.5], 0.05)
    with pytest.raises(BadInputError, match="information: expected ascending fractions"):
        obrien_fleming_bounds([0.5, 0.5, 1.0], 0.05)
    with pytest.raises(BadInputError, match="bounds: expected 2 numbers"):
        crossing_probability([0.5, 1.0], [2.0])
