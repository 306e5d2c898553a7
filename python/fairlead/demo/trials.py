"""Rollouts that decide by themselves: a good challenger that goes all the way, and bad ones that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairlead.bundle import PackResult
from fairlead.demo import plans
from fairlead.demo.challengers import Challenger
from fairlead.demo.flow import Tally
from fairlead.demo.moves import Move, read_move, rolled_back, stage_of, words_of
from fairlead.demo.options import Pace
from fairlead.demo.planes import Planes
from fairlead.demo.stage import Stage

Plan = Callable[[str, str, str, Pace, object], dict[str, Any]]
"""(name, endpoint, digest, pace, the decision that declines) -> rollout."""
DECIDED = ("rollout.promoted", "rollout.rolled_back")
MANY_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Trial:
    """A rollout that decided by itself."""

    name: str
    challenger: Challenger
    version: str
    """What the endpoint calls it."""
    promoted: bool
    seconds: float
    last: Move
    tally: Tally
    """Of the traffic meanwhile."""


def run_canary(stage: Stage, challenger: Challenger, bundle: PackResult) -> Trial:
    """A good challenger goes from shadow traffic to all of it by itself."""
    return _run(stage, challenger, bundle, plans.canary)


def run_fault(stage: Stage, challenger: Challenger, bundle: PackResult) -> Trial:
    """A bad challenger is rolled back by itself."""
    return _run(stage, challenger, bundle, plans.trial)


def _run(stage: Stage, challenger: Challenger, bundle: PackResult, plan: Plan) -> Trial:
    planes, flow = stage.planes, stage.flow
    planes.control.push(bundle.path)
    name = f"{stage.endpoint}-{challenger.name}"
    document = plan(name, stage.endpoint, bundle.sha256, stage.source.pace, stage.positive)
    first = flow.begin()
    planes.roll_out(document)
    moves: list[Move] = []
    with stage.patience(f"rollout {name} to end") as wait:
        while True:
            state = planes.view(name)["state"]
            fresh = _moves(planes, name, state["started_us"])[len(moves) :]
            for move in fresh:
                _tell(stage, document, (move, state["challenger"]["version"]))
            moves += fresh
            if moves and moves[-1].kind in DECIDED:
                break
            wait()
    promoted = moves[-1].kind == "rollout.promoted"
    planes.applied(stage.endpoint, state["challenger" if promoted else "champion"]["version"])
    last = flow.begin()
    return Trial(
        name=name,
        challenger=challenger,
        version=state["challenger"]["version"],
        promoted=promoted,
        seconds=moves[-1].seconds,
        last=moves[-1],
        tally=flow.tally(first, last),
    )


def _moves(planes: Planes, name: str, started_us: int) -> list[Move]:
    """Return all decisions, oldest first."""
    events = planes.control.get(f"/rollouts/{name}/events", limit=MANY_EVENTS)["events"]
    return [read_move(event, started_us) for event in reversed(events)]


def _tell(stage: Stage, document: dict[str, Any], news: tuple[Move, str]) -> None:
    move, version = news
    steps = document["spec"]["strategy"]["canary"]["steps"]
    if move.kind == "rollout.rolled_back":
        stage.say(rolled_back(move))
    elif move.kind == "rollout.promoted":
        stage.say(f"{move.seconds:5.1f} s  {'100 %':<12} version {version} is champion")
    elif move.kind == "rollout.advanced" and (where := stage_of(steps, move.step)) is not None:
        stage.say(words_of(where, move))
