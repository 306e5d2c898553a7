"""From reports to evidence."""

from __future__ import annotations

import base64
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.rollout.counting import Reporting, evidence_of
from fairlead.schema.rollout_state import RolloutState, SliceArm
from fairlead.schema.snapshot import Role
from fairlead.schema.telemetry import (
    SKETCH_REGISTERS,
    ArmCounts,
    EndpointTelemetry,
    ShadowCounts,
    SliceCounts,
    Telemetry,
)
from tests.serverkit.rollouts import at, begun, rollout

REPORTING = Reporting(2, 2, 10, ("eu",), now_us=at(10))


def sketch(units: range) -> str:
    """HyperLogLog registers of numbered units."""
    found = [0] * SKETCH_REGISTERS
    for unit in units:
        value = int.from_bytes(blake2b(str(unit).encode(), digest_size=8).digest(), "little")
        rest = value // SKETCH_REGISTERS
        place = value % SKETCH_REGISTERS
        found[place] = max(found[place], 53 - rest.bit_length())
    return base64.b64encode(bytes(found)).decode()


def arms(version: str, epoch: int, units: int, **counts: Any) -> ArmCounts:
    role = Role.CHAMPION if version == "1" else Role.CHALLENGER
    return ArmCounts(version=version, role=role, epoch=epoch, units=units, requests=units, **counts)


def report(name: str, *found: ArmCounts, region: str | None = None, shadows: Any = ()) -> Telemetry:
    endpoint = EndpointTelemetry(name="fraud", arms=list(found), shadows=list(shadows))
    other = EndpointTelemetry(name="other", arms=[arms("1", 2, 10**6)])
    return Telemetry(
        replica=name, incarnation=1, sequence=1, generation=1, region=region, time_us=1, endpoints=[endpoint, other]
    )


@pytest.fixture
def state() -> RolloutState:
    return begun(rollout({"setWeight": 50}))


def test_replicas_are_added_and_epochs_are_kept_apart(state: RolloutState) -> None:
    one = report("one", arms("1", 2, 10, unit_errors=1), arms("2", 2, 8), arms("1", 0, 500))
    two = report("two", arms("1", 2, 5, unit_errors=2), arms("2", 2, 7, unit_errors=3), arms("2", 99, 7))
    found = evidence_of("fraud", state, [one, two], REPORTING)
    assert [epoch.epoch for epoch in found.epochs] == [1, 2]
    counted = found.epochs[1]
    assert (counted.champion.units, counted.champion.errors) == (15, 3)
    assert (counted.challenger.units, counted.challenger.errors) == (15, 3)
    assert found.challenger_units == 15
    assert found.requests_per_second == 3.0
    assert (found.replicas_expected, found.replicas_reporting, found.regions_reporting) == (2, 2, ["eu"])


@given(st.permutations(range(4)))
def test_the_order_of_reports_does_not_matter(order: list[int]) -> None:
    state = begun(rollout({"setWeight": 50}))
    reports = [report(str(n), arms("1", 2, n), arms("2", 2, 2 * n, unit_decisions=[n, 1])) for n in range(4)]
    assert evidence_of("fraud", state, [reports[n] for n in order], REPORTING) == evidence_of(
        "fraud", state, reports, REPORTING
    )


def test_only_regions_that_divide_their_units_are_compared() -> None:
    document = rollout({"setRegions": ["eu"]}, {"setWeight": 50})
    state = begun(document)
    allocation = state.allocations[-1].model_copy(update={"share": 0.5})
    state = state.model_copy(update={"allocations": [allocation]})
    europe = report("one", arms("1", 2, 10), arms("2", 2, 9), region="eu")
    elsewhere = [report("two", arms("1", 2, 1_000), region="us"), report("three", arms("1", 2, 1_000))]
    [counted] = evidence_of("fraud", state, [europe, *elsewhere], REPORTING).epochs
    assert (counted.champion.units, counted.challenger.units) == (10, 9)
    assert evidence_of("fraud", state, [europe, *elsewhere], REPORTING).known_units == 19


def test_units_seen_by_several_replicas_are_known_by_the_sketches(state: RolloutState) -> None:
    both = [report(name, arms("1", 2, 2_000, units_sketch=sketch(range(2_000)))) for name in ("one", "two", "three")]
    found = evidence_of("fraud", state, both, REPORTING)
    assert found.known_units == pytest.approx(2_000, rel=0.1)
    assert found.epochs[1].duplication == pytest.approx(3, rel=0.1)


def test_pairs_of_a_shadow_are_added(state: RolloutState) -> None:
    shadow = ShadowCounts(version="2", epoch=2, pairs=10, failures=1, flips=[(False, True, 3)])
    other = ShadowCounts(version="3", epoch=2, pairs=10)
    found = evidence_of("fraud", state, [report(n, shadows=[shadow, other]) for n in ("a", "b")], REPORTING)
    assert (found.epochs[1].pairs, found.epochs[1].shadow_failures) == (20, 2)
    assert found.epochs[1].flips == [(False, True, 6)]


def test_nothing_reported_is_nothing_known(state: RolloutState) -> None:
    found = evidence_of("fraud", state, [], Reporting())
    assert (found.known_units, found.challenger_units, found.replicas_expected) == (0, 0, 0)


def test_slices_of_both_arms_stand_side_by_side_and_replicas_are_added(state: RolloutState) -> None:
    def sliced(value: Any, units: int, errors: int = 0) -> SliceCounts:
        return SliceCounts(column="country", value=value, units=units, unit_errors=errors)

    one = report(
        "one", arms("1", 2, 9, slices=[sliced("SE", 5, 1), sliced(None, 4)]), arms("2", 2, 3, slices=[sliced("NO", 3)])
    )
    two = report("two", arms("1", 2, 2, slices=[sliced("SE", 2, 1)]), arms("2", 2, 1, slices=[sliced("SE", 1, 1)]))
    counted = evidence_of("fraud", state, [one, two], REPORTING).epochs[1]
    found = {slice_.value: (slice_.champion, slice_.challenger) for slice_ in counted.slices}
    assert found["SE"] == (SliceArm(units=7, errors=2), SliceArm(units=1, errors=1))
    assert found["NO"] == (SliceArm(), SliceArm(units=3))
    assert found[None] == (SliceArm(units=4), SliceArm())


def test_a_matched_control_is_compared_alone_and_everybody_is_known() -> None:
    matched = begun(rollout({"setWeight": 5}, control="matched"))
    rest = arms("1", 2, 900, unit_errors=90, units_sketch=sketch(range(900)))
    control = arms("1", 2, 50, unit_errors=1, matched=True, units_sketch=sketch(range(900, 950)))
    mine = arms("2", 2, 50, unit_errors=2, units_sketch=sketch(range(950, 1_000)))
    found = evidence_of("fraud", matched, [report("one", rest, control, mine)], REPORTING)
    counted = found.epochs[1]
    assert (counted.champion.units, counted.champion.errors, counted.challenger.errors) == (50, 1, 2)
    assert counted.duplication == pytest.approx(1.0, abs=0.05), "the others are not compared"
    assert found.known_units == pytest.approx(1_000, rel=0.05)
    everybody = evidence_of("fraud", begun(rollout({"setWeight": 5})), [report("one", rest, control, mine)], REPORTING)
    assert (everybody.epochs[1].champion.units, everybody.epochs[1].champion.errors) == (950, 91)
