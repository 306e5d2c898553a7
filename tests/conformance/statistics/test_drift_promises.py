"""What the drift detector promises, measured: time between false alarms, and rows until a change is found."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.detection import traps, worlds
from benchmarks.detection.runs import Length, calm, delays, even
from fairlead.monitor.sequential.detector import Detector, Promise, Tick
from fairlead.monitor.sequential.streams import UNSEEN, stream

ENDPOINTS = 1_000
EXACT = 10**12


@pytest.mark.timeout(240)
@pytest.mark.parametrize("tolerance", [0.0, 0.1])
def test_a_thousand_endpoints_without_drift_alarm_no_more_often_than_promised(tolerance: float) -> None:
    """With a reference without error, and traffic at the edge of what is tolerated: nothing makes it easier."""
    detector = Detector(worlds.known("number"), Promise(1_000, tolerance))
    found = calm(np.random.default_rng(1), detector, even(traps.tolerable(tolerance), 20), ENDPOINTS, 4_000)
    assert found.between >= 1_000
    # ... nor is it kept by never alarming at all.
    assert found.alarms > 50


@pytest.mark.timeout(240)
def test_features_that_are_copies_of_each_other_cost_nothing() -> None:
    usual = worlds.usual("number")
    detector = Detector(worlds.known("number", 6), Promise(500, 0.0))

    def draw(
        rng: np.random.Generator, many: int, _: int
    ) -> tuple[int, np.ndarray[tuple[int, int], np.dtype[np.int64]], int]:
        return 20, np.tile(rng.multinomial(20, usual, many), 6), 0

    found = calm(np.random.default_rng(2), detector, draw, 300, 1_000)
    assert found.between >= 500


@pytest.mark.timeout(240)
@pytest.mark.parametrize("rows", [500, 1_000])
def test_a_small_reference_is_no_drift_though_taken_for_the_truth_it_would_be(rows: int) -> None:
    honest, taken = traps.finite_reference(np.random.default_rng(3), rows, 6, 10)
    assert honest.between >= traps.REQUESTS
    assert taken.between < traps.REQUESTS / 2


@pytest.mark.timeout(240)
def test_bursts_and_hours_are_no_drift_if_they_are_named() -> None:
    rng = np.random.default_rng(4)
    bursts = dict(traps.bursts(rng, 50))
    assert bursts["cluster 5"].between >= traps.REQUESTS > 10 * bursts["cluster 1"].between
    days = dict(traps.daily_cycle(rng, 20))
    assert days["a reference for each hour"].between >= traps.REQUESTS > 5 * days["one reference"].between


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("case", "rows"),
    [
        (worlds.Case("", shift=0.2), (383, 662)),
        (worlds.Case("", shift=0.3), (212, 328)),
        (worlds.Case("", shift=0.5), (91, 138)),
        (worlds.Case("", shift=1.0), (33, 48)),
        (worlds.Case("", scale=1.5), (120, 191)),
    ],
    ids=["0.2", "0.3", "0.5", "1", "spread"],
)
def test_delays_are_those_of_bets_on_the_ranks_of_single_rows(case: worlds.Case, rows: tuple[int, int]) -> None:
    """Mean delays of an e-SR on ranks (bets 1 +- a cos(k pi u), 24 states) at a run length of 1e4 and 1e6. Ours sees
    ticks of 5 rows in tenths, and bets on missing values too.
    """
    for requests, expected in zip((1e4, 1e6), rows, strict=True):
        detector = Detector(worlds.known("number"), Promise(requests, 0.0))
        found = delays(np.random.default_rng(5), detector, case, Length(100, 5, 5_000))
        assert np.mean(found) <= 1.25 * expected


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("rate", "rows"), [(0.12, (1_363, 4_083)), (0.15, (402, 862)), (0.2, (149, 255))])
def test_rising_error_rates_are_found_nearly_as_soon_as_by_bets_on_a_rise(rate: float, rows: tuple[int, int]) -> None:
    """Mean delays of an e-SR told the rate 0.1 (six bets, each row) at a run length of 1e4 and 1e6. It bets on a rise
    alone, ours on a fall as well.
    """
    for requests, expected in zip((1e4, 1e6), rows, strict=True):
        detector = Detector([stream("error", ("yes", "no"), [EXACT // 10, EXACT // 10 * 9])], Promise(requests, 0.0))
        rng = np.random.default_rng(6)
        times = []
        for _ in range(40):
            state = detector.start()
            while not detector.alarms(state):
                hit = int(rng.binomial(10, rate))
                state = detector.advance(state, Tick(10, {"error": [hit, 10 - hit]}))
            times.append(state.rows)
        assert np.mean(times) <= 1.6 * expected


def test_the_stream_of_rivers_examples() -> None:
    """Seed 12345, 0 and 1 a thousand times, then 4 to 7: ADWIN says so at row 1023, KSWIN at 1016, Page-Hinkley at
    1006. The first 500 rows are the reference here.
    """
    chance = random.Random(12345)
    values = chance.choices([0, 1], k=1000) + chance.choices(range(4, 8), k=1000)
    seen = [values[:500].count(value) for value in (0, 1)]
    detector = Detector([stream("x", ("= 0", "= 1", UNSEEN), [*seen, 0])], Promise(1e4))
    state = detector.start()
    for value in values[500:]:
        if detector.alarms(state):
            break
        state = detector.advance(state, Tick(1, {"x": [int(value == 0), int(value == 1), int(value > 1)]}))
    assert 1_001 <= 500 + state.rows <= 1_006


def test_the_bernoulli_example_of_the_e_detector_paper_keeps_its_run_length() -> None:
    """Rate 0.5, run length 500; 0.5 to 0.6 with the change at the start, the worst case: `simulation/` of
    `shinjaehyeok/e_detector_paper`.
    """
    detector = Detector([stream("x", ("yes", "no"), [EXACT, EXACT])], Promise(500, 0.0))
    rng = np.random.default_rng(7)
    assert calm(rng, detector, even([np.array([0.5, 0.5])], 1), 500, 1_000).between >= 500
