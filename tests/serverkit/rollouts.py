"""Rollouts to test with: documents, what the registry knows, what was counted."""

from __future__ import annotations

from typing import Any

from fairlead.rollout import commands
from fairlead.rollout.commands import By, Facts
from fairlead.schema.control import KeyRole
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import ArmEvidence, Contender, EpochEvidence, Evidence, RolloutState
from fairlead.schema.signature import FeatureSpec, FeatureType
from fairlead.schema.telemetry import LATENCY_EDGES_US, SCORE_BINS

FEATURES = [
    FeatureSpec(name="amount", type=FeatureType.FLOAT, tensor="x"),
    FeatureSpec(name="country", type=FeatureType.STRING, tensor="s"),
    FeatureSpec(name="member", type=FeatureType.BOOLEAN, tensor="x", column=1),
    FeatureSpec(name="size", type=FeatureType.STRING, tensor="t", categories=["small", "large"]),
]
SECOND = 1_000_000
START = 1_800_000_000 * SECOND
ERRORS = {"name": "errors", "kind": "rate", "margin": {"ratio": 1.5}}
PROVEN: dict[str, Any] = {"analysis": {"until": {"proven": ["errors"], "minUnits": 100}, "timeout": "1h"}}
STEPS: list[dict[str, Any]] = [{"setWeight": 5}, {"pause": {"duration": "10m"}}, {"setWeight": 50}, PROVEN]
FRESH: dict[str, Any] = {"replicas_expected": 2, "replicas_reporting": 2, "oldest_report_us": SECOND}


def rollout(*steps: dict[str, Any], **spec: Any) -> Rollout:
    """A canary on `fraud` with these steps, or `STEPS`."""
    wanted = {
        "endpoint": "fraud",
        "challenger": {"version": "2"},
        "guardrails": [ERRORS],
        "strategy": {"canary": {"steps": list(steps) or STEPS}},
        **spec,
    }
    return Rollout.model_validate(
        {"apiVersion": "fairlead.dev/v1", "kind": "Rollout", "metadata": {"name": "fraud-2"}, "spec": wanted}
    )


def facts(**changes: Any) -> Facts:
    """What the registry knows of versions 1 and 2 of `fraud`."""
    known: dict[str, Any] = {
        "champion": Contender(version="1", sha256="1" * 64),
        "challenger": Contender(version="2", sha256="2" * 64),
        "salt": "salt",
        "unit_key": "card",
        "labels": [False, True],
        "features": FEATURES,
    }
    return Facts(**(known | changes))


def begun(document: Rollout, **changes: Any) -> RolloutState:
    """The state of one that has just begun."""
    return commands.begin(document, facts(**changes), START)[0]


def by(seconds: float = 0, role: KeyRole = KeyRole.APPROVER, reason: str = "") -> By:
    """Somebody who acts so many seconds after the start."""
    return By("somebody", role, START + round(seconds * SECOND), reason)


def at(seconds: float) -> int:
    """So many seconds after the start."""
    return START + round(seconds * SECOND)


def arm(units: int, errors: int = 0, **counts: Any) -> ArmEvidence:
    """An arm that asked once for every unit."""
    counted = {
        "requests": units,
        "units": units,
        "errors": errors,
        "decisions": [units, 0],
        "scores": [units] + [0] * (SCORE_BINS - 1),
        "latencies": [0] * 10 + [units] + [0] * (len(LATENCY_EDGES_US) - 10),
    }
    return ArmEvidence(**(counted | counts))


def counted(epoch: int, champion: ArmEvidence, challenger: ArmEvidence, **fields: Any) -> EpochEvidence:
    """Both arms of an epoch."""
    return EpochEvidence(epoch=epoch, champion=champion, challenger=challenger, **fields)


def evidence(*epochs: EpochEvidence, **fields: Any) -> Evidence:
    """What two replicas have just reported."""
    known = {
        "known_units": sum(one.champion.units + one.challenger.units for one in epochs),
        "challenger_units": sum(one.challenger.units for one in epochs),
    }
    return Evidence(epochs=list(epochs), **(FRESH | known | fields))


def alike(state: RolloutState, units: int = 10_000, rate: float = 0.02, ratio: float = 1.0) -> Evidence:
    """Evidence on the present epoch alone: a challenger that is `ratio` times as bad."""
    assert state.routing is not None
    share = state.routing.share
    mine = round(units * share)
    theirs = units - mine
    champion = arm(theirs, round(theirs * rate))
    challenger = arm(mine, round(mine * rate * ratio))
    return evidence(counted(state.routing.epoch, champion, challenger), known_units=units)
