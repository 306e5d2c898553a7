"""Rollouts: declare, look, act."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from fairlead.control.access import Caller
from fairlead.control.rollouts import look
from fairlead.control.rollouts.act import act
from fairlead.control.rollouts.apply import apply
from fairlead.control.rollouts.plan import plan
from fairlead.control.routes.shared import Here
from fairlead.schema.bundle import BundleName
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import (
    RolloutAction,
    RolloutApplied,
    RolloutCommand,
    RolloutEvents,
    RolloutPlan,
    RolloutView,
)
from fairlead.store.state import decisions, rollouts
from fairlead.store.state.decisions import Wanted

router = APIRouter(prefix="/rollouts", tags=["rollouts"])
Name = Annotated[BundleName, Path(description="Name of the rollout.")]
DryRun = Annotated[bool, Query(description="Say what would happen, and change nothing.")]
Rate = Annotated[float | None, Query(gt=0, lt=1, description="Bad outcomes per unit, where none was counted yet.")]
Traffic = Annotated[float | None, Query(gt=0, description="New units of the endpoint in an hour.")]


@router.put("")
def put(rollout: Rollout, control: Here, actor: Caller, dry_run: DryRun = False) -> RolloutApplied:
    """Declare a rollout and start it; the same document again changes nothing."""
    return apply(control, rollout, actor, dry_run=dry_run)


@router.get("")
def listed(control: Here, _: Caller) -> list[RolloutView]:
    """Return all rollouts with what the counts say now."""
    with control.database.read() as transaction:
        stored = rollouts.listed(transaction)
        reports = look.Reports.read(transaction, control.stale_us, stored)
        return [reports.view(one) for one in stored]


@router.post("/plan")
def planned(
    rollout: Rollout, control: Here, _: Caller, base_rate: Rate = None, units_per_hour: Traffic = None
) -> RolloutPlan:
    """Return what a rollout can find out, before it starts; it need not be applied."""
    with control.database.read() as transaction:
        return plan(transaction, rollout, base_rate, units_per_hour)


@router.get("/{name}")
def show(name: Name, control: Here, _: Caller) -> RolloutView:
    """Return one rollout with what the counts say now."""
    with control.database.read() as transaction:
        return look.view(transaction, look.found(transaction, name), control.stale_us)


@router.get("/{name}/events")
def events(name: Name, control: Here, _: Caller, limit: Annotated[int, Query(ge=1, le=1_000)] = 100) -> RolloutEvents:
    """Return what was decided, newest first; each with all that it takes to decide it again."""
    with control.database.read() as transaction:
        look.found(transaction, name)
        return RolloutEvents(name=name, events=decisions.listed(transaction, Wanted(rollout=name), limit))


@router.post("/{name}/{command}")
def command(name: Name, command: RolloutCommand, wish: RolloutAction, control: Here, actor: Caller) -> RolloutView:
    """Start, pause, resume, promote, abort, undo, approve."""
    return act(control, name, command, actor, wish.reason)
