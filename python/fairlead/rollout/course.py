"""How a state moves: into a step, to other shares, to an end. What engine and commands have in common."""

from __future__ import annotations

from typing import Any

from fairlead.schema.rollout import Rollout, Step
from fairlead.schema.rollout_state import Allocation, CohortSize, Evidence, Phase, RolloutState

LARGEST_COHORT = 0.5
"""A cohort is at most half of the units: without a control nothing can be compared."""


def step_of(rollout: Rollout, state: RolloutState) -> Step | None:
    """Return the step in force; None where all are done, and for blue/green."""
    steps = rollout.spec.steps
    return steps[state.step] if state.step < len(steps) else None


def enter(rollout: Rollout, state: RolloutState, step: int, evidence: Evidence, now: int) -> RolloutState:
    """Return the state at the beginning of a step, with the shares that it sets."""
    entered = changed(state, step=step, step_started_us=now, phase=Phase.PROGRESSING, holding=None)
    here = step_of(rollout, entered)
    if here is None:
        return entered
    if here.set_weight is not None:
        return allocate(changed(entered, cohort=None), now, share=here.set_weight / 100)
    if here.set_cohort is not None:
        return size_cohort(entered, here.set_cohort.max_units, evidence, now)
    if here.set_regions is not None:
        return allocate(entered, now, regions=None if here.set_regions == "*" else sorted(set(here.set_regions)))
    if here.shadow is not None:
        share = here.shadow.percent / 100
        return allocate(entered, now, shadow_share=share, shadow=entered.challenger.version if share else None)
    return entered


def allocate(state: RolloutState, now: int, **changes: Any) -> RolloutState:
    """Return the state with other shares, in an epoch of its own; the same where nothing is other."""
    routing = state.routing
    assert routing is not None
    if all(getattr(routing, name) == value for name, value in changes.items()):
        return state
    following = routing.model_copy(update={**changes, "epoch": routing.epoch + 1})
    allocation = Allocation(
        epoch=following.epoch,
        share=following.share,
        shadow_share=following.shadow_share,
        regions=following.regions,
        matched=following.matched,
        since_us=now,
    )
    return changed(state, routing=following, allocations=[*state.allocations, allocation])


def size_cohort(state: RolloutState, most: int, evidence: Evidence, now: int) -> RolloutState:
    """Return the state with the share that gives about `most` units to the challenger; unsized while none is known."""
    if evidence.known_units == 0:
        return changed(state, cohort=None)
    share = min(LARGEST_COHORT, most / evidence.known_units)
    size = CohortSize(max_units=most, known_units=evidence.known_units, share=share, achieved=evidence.challenger_units)
    return allocate(changed(state, cohort=size), now, share=share)


def changed(state: RolloutState, **changes: Any) -> RolloutState:
    """Return the state with these fields other."""
    return state.model_copy(update=changes)


def sends_traffic(state: RolloutState) -> bool:
    """Whether the challenger sees requests, as one that answers or as a shadow."""
    return state.routing is not None and (state.routing.share > 0 or state.routing.shadow_share > 0)


def open_gates(rollout: Rollout, state: RolloutState) -> list[int]:
    """Return the steps that ask for an approval which is not there yet."""
    given = {approval.step for approval in state.approvals}
    return [i for i, step in enumerate(rollout.spec.steps) if step.approve is not None and i not in given]
