"""Two ways to be wrong with the right formula: false alarms by the score, where the right way keeps its level."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.rollouts.traps import ramp_pooling, request_counting

LEVEL = 0.05
NOISE = 0.04
"""Three standard deviations of a share of 5 % among 300 rollouts."""


@pytest.mark.parametrize(("requests", "at_least"), [(2.0, 0.2), (5.0, 0.5)])
def test_counting_requests_instead_of_units(requests: float, at_least: float) -> None:
    wrong, right = request_counting(np.random.default_rng(22), 300, 1_000, requests)
    assert wrong > at_least
    assert right <= LEVEL + NOISE


def test_one_request_a_unit_is_no_trap() -> None:
    wrong, right = request_counting(np.random.default_rng(23), 300, 500, 1.0)
    assert wrong == right <= LEVEL + NOISE


def test_pooling_a_ramp_with_one_share() -> None:
    found = ramp_pooling(np.random.default_rng(24), 200, 150)
    assert found["one assumed share"] == 1
    assert found["share of all units so far"] > 0.9
    assert found["by epoch, either side"] <= LEVEL + NOISE
    assert found["by epoch, harm"] <= LEVEL + NOISE
