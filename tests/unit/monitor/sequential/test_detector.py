"""The detector: its supermartingale by enumeration, and the laws of ticks, replicas and states."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fairlead.errors import BadInputError
from fairlead.monitor.sequential.detector import Detector, Promise, State, Tick, evolved, restarted
from fairlead.monitor.sequential.history import BLOCKS
from fairlead.monitor.sequential.state import restored, stored
from fairlead.monitor.sequential.streams import Stream, stream
from fairlead.schema.drift_state import DriftState
from tests.unit.monitor.sequential.examples import category, counted, number, number_shares

LOOSE = Promise(requests=1e4, tolerance=0.0)
DETECTOR = Detector([number(), category()], LOOSE)
CELLS = st.lists(st.integers(0, 200), min_size=12, max_size=12)


def fed(detector: Detector, ticks: Sequence[Tick], state: State | None = None) -> State:
    state = state or detector.start()
    for tick in ticks:
        state = detector.advance(state, tick)
    return state


def amounts(counts: Sequence[int], season: int = 0) -> Tick:
    return Tick(sum(counts), {"amount": counts}, season)


def same(first: State, second: State) -> bool:
    arrays = ("log_r", "log_best", "begun")
    return first.rows == second.rows and all(np.array_equal(getattr(first, a), getattr(second, a)) for a in arrays)


@pytest.mark.parametrize("rows", [1, 4, 9])
def test_evidence_grows_by_no_more_than_the_rows_on_average(rows: int) -> None:
    """E[R'] <= R + n for every bet, over every tick there can be: what the promise rests on."""
    shares = np.array([0.6, 0.3, 0.1])
    detector = Detector([stream("x", ("a", "b", "c"), counted(shares, 10**9), ordered=3)], LOOSE)
    every = np.array([c for c in itertools.product(range(rows + 1), repeat=3) if sum(c) == rows])
    chance = stats.multinomial.pmf(every, rows, shares)
    assert chance.sum() == pytest.approx(1)
    before = np.full((len(every), len(detector.log_weight)), np.log(50.0))
    after = np.exp(evolved(before, rows, detector.log_likelihood(every), LOOSE))
    assert (chance @ after).max() <= 50 + rows + 1e-9
    assert (chance @ after).max() > 0.9 * (50 + rows)


def test_in_bursts_of_one_source_evidence_is_kept_by_dividing_it() -> None:
    """Every row three times over: E[L] exceeds 1, unless the promise says `cluster=3`."""
    shares = np.array([0.6, 0.3, 0.1])
    made = [stream("x", ("a", "b", "c"), counted(shares, 10**9), ordered=3)]
    burst = 3 * np.eye(3, dtype=np.int64)
    means = [
        (shares @ np.exp(Detector(made, Promise(1e4, 0.0, cluster=k)).log_likelihood(burst))).max() for k in (1, 3)
    ]
    assert means[0] > 1.5
    assert means[1] <= 1 + 1e-9


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_replicas_are_as_one(parts: list[tuple[list[int], list[int]]]) -> None:
    together = [amounts([a + b for a, b in zip(first, second, strict=True)]) for first, second in parts]
    summed = [amounts((np.array(second) + np.array(first)).tolist()) for first, second in parts]
    assert same(fed(DETECTOR, together), fed(DETECTOR, summed))


@given(CELLS, CELLS)
@settings(max_examples=30, deadline=None)
def test_a_tick_cut_in_two_has_the_evidence_of_the_whole_and_no_more_beginnings(
    first: list[int], second: list[int]
) -> None:
    whole = [a + b for a, b in zip(first, second, strict=True)]
    parts = [DETECTOR.checked(amounts(part)) for part in (first, second)]
    log_l = [DETECTOR.log_likelihood(part) for part in parts]
    assert DETECTOR.log_likelihood(DETECTOR.checked(amounts(whole))) == pytest.approx(sum(log_l), abs=1e-7)


def test_the_order_of_streams_and_the_number_of_empty_ticks_change_nothing() -> None:
    tick = amounts(counted(number_shares(0.4), 500).tolist())
    once = fed(DETECTOR, [tick])
    assert same(fed(DETECTOR, [Tick(0, {}), tick, Tick(0, {"amount": [0] * 12})]), once)
    other = Detector([category(), number()], LOOSE)
    assert other.log_evidence(fed(other, [tick]).log_r) == pytest.approx(float(DETECTOR.log_evidence(once.log_r)))


@pytest.mark.parametrize("rows", [1, 10, 1_000, 10**6, 10**9])
def test_no_tick_is_so_large_that_it_alarms_by_its_size(rows: int) -> None:
    detector = Detector([number()], Promise(requests=1e4, tolerance=0.0))
    state = fed(detector, [amounts(counted(number_shares(), rows).tolist())])
    assert not detector.alarms(state)


def test_drift_raises_evidence_the_more_the_larger_it_is() -> None:
    found = []
    for shift in (0.0, 0.2, 0.4, 0.8):
        ticks = [amounts(counted(number_shares(shift), 1_000).tolist())]
        found.append(float(DETECTOR.log_evidence(fed(DETECTOR, ticks).log_r)))
    assert found == sorted(found)
    assert found[0] < np.log(1e3)
    assert found[-1] > np.log(1e4)


def test_more_tolerance_never_gives_more_evidence() -> None:
    tick = amounts(counted(number_shares(0.4), 1_000).tolist())
    detectors = [Detector([number()], Promise(1e4, tolerance)) for tolerance in (0.0, 0.05, 0.1, 0.3, 1.0)]
    found = [float(each.log_evidence(fed(each, [tick]).log_r)) for each in detectors]
    assert found == sorted(found, reverse=True)


def test_what_is_tolerated_never_alarms_however_long_it_lasts() -> None:
    shares = number_shares()
    tolerated = shares * np.where(np.arange(12) < 5, 1.25, 0.775)
    tolerated /= tolerated.sum()
    detector = Detector([number()], Promise(1e4, 0.3))
    tick = amounts(counted(tolerated, 100_000).tolist())
    state = detector.start()
    for _ in range(50):
        state = detector.advance(state, tick)
        assert not detector.alarms(state)
    strict = Detector([number()], Promise(1e4, 0.0))
    assert strict.alarms(fed(strict, [tick] * 50))


def test_seasons_are_compared_with_themselves() -> None:
    day, night = number_shares(0.5), number_shares(-0.5)
    seasonal = stream("amount", number().cells, np.stack([counted(s, 10**6) for s in (day, night)]), ordered=10)
    pooled = stream("amount", number().cells, counted((day + night) / 2, 2 * 10**6), ordered=10)
    ticks = [amounts(counted((day, night)[i % 2], 5_000).tolist(), i % 2) for i in range(20)]
    apart = Detector([seasonal], LOOSE)
    assert not apart.alarms(fed(apart, ticks))
    one = Detector([pooled], LOOSE)
    assert one.alarms(fed(one, [amounts(tick.counts["amount"]) for tick in ticks[:1]]))
    # Night traffic by day is drift.
    assert apart.alarms(fed(apart, [amounts(ticks[1].counts["amount"], 0)]))


def test_a_stream_with_one_reference_goes_with_streams_of_several() -> None:
    seasonal = stream("amount", number().cells, np.tile(counted(number_shares(), 10**6), (24, 1)), ordered=10)
    detector = Detector([seasonal, category()], LOOSE)
    assert detector.seasons == 24
    state = detector.advance(detector.start(), Tick(10, {"channel": [10, 0, 0, 0, 0, 0, 0]}, season=23))
    assert state.blocks[0].season_rows[23] == 10
    with pytest.raises(BadInputError, match="season: expected 0 to 23, got 24"):
        detector.advance(state, Tick(1, {}, season=24))


def test_a_state_goes_through_its_document_exactly() -> None:
    state = fed(DETECTOR, [amounts(counted(number_shares(0.1 * i), 70 + i).tolist()) for i in range(40)])
    back = restored(DETECTOR, DriftState.model_validate_json(stored(DETECTOR, state).model_dump_json()))
    assert same(back, state)
    tick = amounts(counted(number_shares(0.3), 90).tolist())
    assert stored(DETECTOR, fed(DETECTOR, [tick], back)) == stored(DETECTOR, fed(DETECTOR, [tick], state))


@pytest.mark.parametrize(
    "other",
    [
        Detector([number(), category()], Promise(requests=2e4, tolerance=0.0)),
        Detector([number(), category(rows=1_000)], LOOSE),
        Detector([category(), number()], LOOSE),
        Detector([number(weight=2), category()], LOOSE),
    ],
    ids=["promise", "reference", "order", "weight"],
)
def test_a_state_of_another_detector_is_refused(other: Detector) -> None:
    with pytest.raises(BadInputError, match="detector: expected"):
        restored(other, stored(DETECTOR, DETECTOR.start()))


def test_memory_is_bounded() -> None:
    rng = np.random.default_rng(1)
    state, size = DETECTOR.start(), 0
    for i in range(400):
        tick = amounts(rng.multinomial(20, number_shares(0.02)).tolist())
        state = DETECTOR.advance(state, tick)
        assert len(state.blocks) <= BLOCKS
        size = max(size, len(stored(DETECTOR, state).model_dump_json())) if i > 200 else size
    assert size < 30_000


def test_after_an_alarm_all_begins_anew_and_rows_are_counted_on() -> None:
    state = fed(DETECTOR, [amounts(counted(number_shares(1), 1_000).tolist())])
    assert DETECTOR.alarms(state)
    fresh = restarted(DETECTOR, state)
    assert not DETECTOR.alarms(fresh)
    assert (fresh.rows, fresh.ticks) == (1_000, 1)
    assert DETECTOR.alarms(fed(DETECTOR, [amounts(counted(number_shares(1), 1_000).tolist())], fresh))


def test_states_are_values() -> None:
    state = fed(DETECTOR, [amounts([10] * 12)])
    before = stored(DETECTOR, state)
    fed(DETECTOR, [amounts([3] * 12), amounts([7] * 12)], state)
    assert stored(DETECTOR, state) == before


@pytest.mark.parametrize(
    ("tick", "message"),
    [
        (Tick(-1, {}), "rows: expected a whole number from 0, got -1"),
        (Tick(5, {"nope": [5]}), r"counts: expected streams that are watched, got \['nope'\]"),
        (Tick(5, {"amount": [5]}), r"counts of `amount`: expected 12 cells, got shape \(1,\)"),
        (Tick(5, {"amount": [6] + [0] * 11}), "counts of `amount`: expected at most the tick's 5 rows, got 6"),
        (Tick(5, {"amount": [-1] + [0] * 11}), "counts of `amount`: expected whole numbers from 0, got -1"),
        (Tick(5, {"amount": [0.5] + [0] * 11}), "counts of `amount`: expected whole numbers from 0, got 0.5"),  # type: ignore[dict-item]  # wrong, or not to be told, on purpose
        (Tick(5, {"amount": ["a"] * 12}), "counts of `amount`: expected whole numbers from 0"),  # type: ignore[list-item]  # wrong, or not to be told, on purpose
        (Tick(5, {}, 1), "season: expected 0 to 0, got 1"),
    ],
)
def test_counts_that_do_not_fit_are_refused(tick: Tick, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        DETECTOR.advance(DETECTOR.start(), tick)


def several_seasons(name: str, seasons: int) -> Stream:
    return stream(name, ("a", "b"), np.full((seasons, 2), 50))


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        ([], "streams: expected 1 or more"),
        ([number(), number()], "streams: expected names that differ"),
        ([several_seasons("a", 24), several_seasons("b", 7)], "streams: expected one number of seasons"),
    ],
)
def test_streams_that_do_not_go_together_are_refused(streams: list[Stream], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        Detector(streams)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"requests": 1}, "requests: expected a finite number from 10"),
        ({"requests": float("inf")}, "requests"),
        ({"tolerance": -0.1}, "tolerance"),
        ({"risk": 0}, "risk"),
        ({"cluster": 0}, "cluster"),
    ],
)
def test_promises_that_make_no_sense_are_refused(terms: dict[str, float], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        Promise(**terms)  # type: ignore[arg-type]  # wrong, or not to be told, on purpose
