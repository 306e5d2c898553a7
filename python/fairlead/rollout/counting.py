"""From replicas' reports to what the engine decides on: counts by epoch and arm, regions and replicas added."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairlead.schema.rollout_state import (
    Allocation,
    ArmEvidence,
    EpochEvidence,
    Evidence,
    RolloutState,
    SliceArm,
    SliceEvidence,
)
from fairlead.schema.telemetry import (
    ArmCounts,
    EndpointTelemetry,
    ShadowCounts,
    SliceCounts,
    Telemetry,
    distinct,
    merge,
    together,
)


@dataclass(frozen=True, slots=True)
class Reporting:
    """How complete and how fresh the reports are."""

    expected: int = 0
    reporting: int = 0
    oldest_us: int = 0
    regions: tuple[str, ...] = ()
    now_us: int = 0
    behind: int = 0
    """Report, but have not applied what they were told long ago."""


def evidence_of(endpoint: str, state: RolloutState, reports: Sequence[Telemetry], reporting: Reporting) -> Evidence:
    """Return what `reports` (the newest of each life of each replica) say of the rollout."""
    epochs = [_epoch(endpoint, state, allocation, reports) for allocation in state.allocations]
    regions = None if state.routing is None else state.routing.regions
    within = [one for one in reports if regions is None or one.region in regions]
    arms = [arm for _, found in _of(endpoint, within) for arm in found.arms]
    own = {allocation.epoch for allocation in state.allocations}
    challengers = [arm for arm in arms if arm.version == state.challenger.version and arm.epoch in own]
    return Evidence(
        epochs=epochs,
        known_units=_units(arms),
        challenger_units=_units(challengers),
        requests_per_second=_rate(state, epochs, reporting.now_us),
        replicas_expected=reporting.expected,
        replicas_reporting=reporting.reporting,
        replicas_behind=reporting.behind,
        oldest_report_us=reporting.oldest_us,
        regions_reporting=sorted(reporting.regions),
    )


def _epoch(endpoint: str, state: RolloutState, allocation: Allocation, reports: Sequence[Telemetry]) -> EpochEvidence:
    champions: list[ArmCounts] = []
    challengers: list[ArmCounts] = []
    shadows: list[ShadowCounts] = []
    for report, found in _of(endpoint, reports):
        shadows += [one for one in found.shadows if one.epoch == allocation.epoch]
        if allocation.regions is not None and report.region not in allocation.regions:
            continue  # all of its units are the champion's: no comparison
        arms = [arm for arm in found.arms if arm.epoch == allocation.epoch]
        own = [arm for arm in arms if arm.version == state.champion.version]
        champions += [arm for arm in own if arm.matched or not allocation.matched]
        challengers += [arm for arm in arms if arm.version == state.challenger.version]
    units = sum(arm.units for arm in (*champions, *challengers))
    known = distinct(together(arm.units_sketch for arm in (*champions, *challengers)))
    pairs = _sum_shadows(endpoint, [one for one in shadows if one.version == state.challenger.version])
    champion, challenger = _sum(endpoint, champions), _sum(endpoint, challengers)
    return EpochEvidence(
        epoch=allocation.epoch,
        champion=_arm(champion),
        challenger=_arm(challenger),
        slices=_slices(champion, challenger),
        duplication=max(1.0, round(units / known, 3)) if known >= 1 else 1.0,
        pairs=0 if pairs is None else pairs.pairs,
        flips=[] if pairs is None else pairs.flips,
        shadow_failures=0 if pairs is None else pairs.failures,
        shadow_scores=[] if pairs is None else pairs.scores,
    )


def _rate(state: RolloutState, epochs: Sequence[EpochEvidence], now: int) -> float:
    if not epochs or now <= state.allocations[-1].since_us:
        return 0.0
    requests = epochs[-1].champion.requests + epochs[-1].challenger.requests
    return round(requests / ((now - state.allocations[-1].since_us) / 1_000_000), 3)


def _of(endpoint: str, reports: Sequence[Telemetry]) -> Iterable[tuple[Telemetry, EndpointTelemetry]]:
    return ((report, found) for report in reports for found in report.endpoints if found.name == endpoint)


def _units(arms: Sequence[ArmCounts]) -> int:
    """Different units by the sketches; without any, units as each replica counted them."""
    return round(distinct(together(arm.units_sketch for arm in arms))) or sum(arm.units for arm in arms)


def _sum(endpoint: str, arms: Sequence[ArmCounts]) -> ArmCounts | None:
    if not arms:
        return None
    one = {"role": arms[0].role, "matched": arms[0].matched, "units_sketch": ""}
    [merged] = merge([EndpointTelemetry(name=endpoint, arms=[arm.model_copy(update=one)])] for arm in arms)
    return merged.arms[0]


def _arm(total: ArmCounts | None) -> ArmEvidence:
    if total is None:
        return ArmEvidence()
    return ArmEvidence(
        requests=total.requests,
        units=total.units,
        errors=total.unit_errors,
        violations=total.unit_violations,
        decisions=total.unit_decisions,
        scores=total.score_counts,
        latencies=total.latency_counts,
    )


def _slices(champion: ArmCounts | None, challenger: ArmCounts | None) -> list[SliceEvidence]:
    """Return the slices that either arm has had units in."""
    arms = [{} if arm is None else {one.key: one for one in arm.slices} for arm in (champion, challenger)]
    slices = {key: one for found in arms for key, one in found.items()}
    return [
        SliceEvidence(
            column=one.column,
            value=one.value,
            other=one.other,
            champion=_slice(arms[0].get(key)),
            challenger=_slice(arms[1].get(key)),
        )
        for key, one in sorted(slices.items(), key=lambda item: tuple(map(str, item[0])))
    ]


def _slice(counted: SliceCounts | None) -> SliceArm:
    if counted is None:
        return SliceArm()
    return SliceArm(
        units=counted.units,
        errors=counted.unit_errors,
        violations=counted.unit_violations,
        decisions=counted.unit_decisions,
    )


def _sum_shadows(endpoint: str, shadows: Sequence[ShadowCounts]) -> ShadowCounts | None:
    if not shadows:
        return None
    [merged] = merge([EndpointTelemetry(name=endpoint, shadows=[one])] for one in shadows)
    return merged.shadows[0]
