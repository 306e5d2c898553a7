"""Simulated drift: worlds are distributions, peers and ours see the same ones, and detectors are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.detection import runs, traps, worlds
from benchmarks.detection.runs import Calm, Length
from fairlead.monitor.sequential.detector import Detector, Promise


@pytest.mark.parametrize("case", worlds.CASES, ids=lambda case: case.name)
def test_worlds_are_distributions_before_while_and_after_they_change(case: worlds.Case) -> None:
    usual = worlds.usual(case.kind)
    assert usual.sum() == pytest.approx(1)
    assert case.at(10**9).sum() == pytest.approx(1)
    assert np.abs(case.at(10**9) - usual).max() > 0.005
    if case.ramp:
        assert case.at(0) == pytest.approx(usual)
        assert np.abs(case.at(case.ramp // 2) - usual).max() < np.abs(case.at(case.ramp) - usual).max()


def test_the_edge_of_the_tolerance_is_its_edge() -> None:
    (shares,) = traps.tolerable(0.1)
    usual = worlds.usual("number")
    assert shares.sum() == pytest.approx(1)
    known = usual > 0
    assert (shares[known] / usual[known]).max() == pytest.approx(1.1)
    assert (shares[known] / usual[known]).min() >= 1 / 1.1 - 1e-12


def test_rows_between_alarms_are_those_of_all_endpoints() -> None:
    assert (Calm(1_000, 2) + Calm(500, 1)).between == 500
    assert Calm(1_000, 0).between == 1_000


def test_a_threshold_that_is_set_alarms_as_often_as_it_is_set_to() -> None:
    rng, case = np.random.default_rng(8), worlds.Case("")
    detector = Detector(worlds.known("number"), Promise(1_000, 0.0))
    enough = runs.threshold(rng, [detector], case, Length(200, 20, 2_000), 500)
    assert enough < np.log(1_000)
    found = runs.delays(rng, detector, case, Length(400, 20, 5_000), enough)
    assert np.minimum(found, 5_000).mean() == pytest.approx(500, rel=0.25)


def test_a_large_change_is_found_sooner_than_a_small_one() -> None:
    rng, length = np.random.default_rng(9), Length(20, 20, 4_000)
    detector = Detector(worlds.sampled(rng, "number", 10_000), Promise(1e4))
    large, small = (runs.delays(rng, detector, worlds.Case("", shift=d), length) for d in (1.0, 0.4))
    assert np.median(large) < np.median(small) < 1_000
