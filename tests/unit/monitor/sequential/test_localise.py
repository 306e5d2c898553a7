"""Explained: which streams and cells, since when, how much."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.monitor.sequential.detector import Detector, Promise, Tick
from fairlead.monitor.sequential.localise import Alarm, alarm, named
from fairlead.monitor.sequential.streams import stream
from tests.unit.monitor.sequential.examples import CATEGORY_SHARES, category, counted, number, number_shares

Shares = NDArray[np.float64]
DETECTOR = Detector([number(f"x{i}", rows=50_000) for i in range(6)] + [category(rows=50_000)], Promise(1e6))


def raised(drifted: dict[str, Shares], calm: int = 50, rows: int = 200) -> tuple[Alarm, int]:
    """The alarm after `calm` ticks, and how many rows after."""
    rng = np.random.default_rng(11)
    usual = {f"x{i}": number_shares() for i in range(6)} | {"channel": CATEGORY_SHARES}
    state = DETECTOR.start()
    for i in range(calm + 200):
        shares = usual | (drifted if i >= calm else {})
        state = DETECTOR.advance(state, Tick(rows, {k: rng.multinomial(rows, s).tolist() for k, s in shares.items()}))
        if DETECTOR.alarms(state):
            return alarm(DETECTOR, state), state.rows - calm * rows
    raise AssertionError("no alarm")


def test_the_feature_that_moved_is_named_with_time_and_size() -> None:
    found, after = raised({"x3": number_shares(0.5)})
    (part,) = found.named
    assert part.stream == "x3"
    assert part.part > 0.99
    assert part.bet.kind == "moved"
    assert part.bet.size > 0
    assert abs(part.rows_ago - after) <= 200
    assert part.rows == part.rows_ago
    # Half a deviation up: the highest tenth has 2.2 times its rows, the lowest 0.37 times.
    by_cell = {shift.cell: shift for shift in part.shifts}
    assert by_cell["tenth 9"].ratio == pytest.approx(2.2, rel=0.35)
    assert by_cell["tenth 0"].ratio == pytest.approx(0.37, rel=0.6)
    assert part.shifts[0].cell == "tenth 9"
    assert part.total_variation == pytest.approx(0.2, abs=0.08)


@pytest.mark.parametrize(
    ("drifted", "cell"),
    [
        ({"x0": number_shares(missing=0.05)}, "missing"),
        ({"channel": CATEGORY_SHARES * 0.97 + 0.03 * np.eye(7)[6]}, "unseen"),
        ({"channel": CATEGORY_SHARES * 0.97 + 0.03 * np.eye(7)[5]}, "invalid"),
    ],
)
def test_a_cell_that_grew_is_named(drifted: dict[str, Shares], cell: str) -> None:
    found, _ = raised(drifted)
    (part,) = found.named
    assert [part.stream] == list(drifted)
    assert part.cell == cell
    assert part.bet.kind == "more"
    assert part.shifts[0].cell == cell
    assert (part.shifts[0].ratio is None) == (cell != "missing")


def test_streams_that_drift_together_are_all_named() -> None:
    found, _ = raised({"x1": number_shares(0.45), "x4": number_shares(-0.45)}, rows=50)
    assert {part.stream for part in found.parts[:2]} == {"x1", "x4"}
    assert sum(part.part for part in found.parts) == pytest.approx(1)


@pytest.mark.parametrize("after", [0, 2_000])
def test_the_beginning_is_found_whenever_it_was(after: int) -> None:
    found, delay = raised({"x2": number_shares(0.35)}, calm=after // 200)
    assert abs(found.rows_ago - delay) <= 600


def test_streams_are_named_by_rank_and_stake() -> None:
    """Of three streams, N = 900: one needs 900 alone, two need 450 each, three 300 each, of evidence times stake."""
    log = np.log

    def chosen(*staked: float) -> list[bool]:
        return named(log(np.array(staked)), float(log(900.0))).tolist()

    assert chosen(899, 1, 1) == [False, False, False]
    assert chosen(901, 1, 1) == [True, False, False]
    assert chosen(1, 451, 600) == [False, True, True]
    assert chosen(301, 301, 301) == [True, True, True]


def test_if_none_is_named_the_strongest_is_shown() -> None:
    state = DETECTOR.advance(DETECTOR.start(), Tick(1, {"x5": [0] * 9 + [1, 0, 0]}))
    found = alarm(DETECTOR, state)
    assert not any(part.named for part in found.parts)
    assert [part.stream for part in found.named] == ["x5"]


def test_expected_shares_are_those_of_the_seasons_that_passed() -> None:
    day, night = counted(number_shares(1), 10**6), counted(number_shares(-1), 10**6)
    detector = Detector([stream("x", number().cells, np.stack([day, night]), ordered=10)], Promise(1e4))
    state = detector.start()
    for season, rows in ((0, 300), (1, 100)):
        cells = np.eye(12, dtype=np.int64)[10] * rows
        state = detector.advance(state, Tick(rows, {"x": cells.tolist()}, season))
    (part,) = alarm(detector, state).parts
    expected = {shift.cell: shift.reference for shift in part.shifts}
    mixture = (3 * day + night) / (4 * 10**6)
    assert expected["tenth 9"] == pytest.approx(mixture[9])


def test_the_evidence_of_a_detector_that_has_seen_nothing_is_explained_as_nothing() -> None:
    found = alarm(DETECTOR, DETECTOR.start())
    assert found.row == 0
    assert found.log_evidence < -500
    assert all(part.rows == 0 and part.total_variation == 0 for part in found.parts)
