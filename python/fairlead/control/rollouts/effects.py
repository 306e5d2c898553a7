"""What follows from a decision, all of it in the transaction of its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fairlead import __version__
from fairlead.errors import ControlError
from fairlead.registry import Actor, Publisher, assign
from fairlead.rollout.engine import noted
from fairlead.schema.control import KeyRole
from fairlead.schema.registry import RegistryRole, RoleAssignment
from fairlead.schema.rollout import OnRollback, Rollout
from fairlead.schema.rollout_state import Action, Contender, Phase, RolloutDecision, RolloutState
from fairlead.store.state import Transaction, decisions, roles, rollouts, webhooks
from fairlead.store.state.decisions import Decision
from fairlead.store.state.rollouts import StoredRollout

ENGINE = Actor("control", KeyRole.APPROVER)
"""The engine itself: whoever started the rollout had the right to what it does."""
KINDS = {
    Action.ADVANCE: "rollout.advanced",
    Action.HOLD: "rollout.held",
    Action.ROLLBACK: "rollout.rolled_back",
    Action.PROMOTE: "rollout.promoted",
    Action.PAUSE: "rollout.paused",
    Action.NONE: "rollout.noted",
}


@dataclass(frozen=True, slots=True)
class Change:
    """A decision and the state after it; `by` is who makes it so."""

    state: RolloutState
    decision: RolloutDecision
    by: Actor = ENGINE
    event: str | None = None
    """What people did, as an event; None: what the decision's action is called."""


def commit(transaction: Transaction, publisher: Publisher, stored: StoredRollout, change: Change) -> None:
    """Keep the new state with the record of its decision, move roles, publish. Raises `ControlError`."""
    rollout, before = stored.rollout, stored.state
    after = noted(change.state, change.decision)
    if not rollouts.save(transaction, rollout.name, stored.revision, after):
        raise ControlError(f"rollout {rollout.name!r} was changed at the same moment", code="rollout_moved")
    record(transaction, rollout, before, change)
    if after.recalibration is not None:
        # A challenger that is turned away leaves without it; one that is promoted keeps it.
        failed = after.phase in (Phase.ROLLED_BACK, Phase.UNDONE)
        threshold = None if failed else after.recalibration.threshold
        roles.decide_at(transaction, rollout.spec.endpoint, after.challenger.sha256, threshold)
    if after.phase is not before.phase:
        _move(transaction, publisher, rollout, (before, after, change))
    publisher.publish(transaction, change.by.name)


def record(transaction: Transaction, rollout: Rollout, before: RolloutState | None, change: Change) -> None:
    """Write the decision down, with what it takes to make it again, and announce it."""
    decision, after = change.decision, change.state
    evidence: dict[str, Any] = {
        "decision": decision.model_dump(mode="json"),
        "before": None if before is None else before.model_dump(mode="json"),
        "rollout": rollout.model_dump(mode="json"),
        "fairlead": __version__,
    }
    kind = change.event or KINDS[decision.action]
    endpoint = rollout.spec.endpoint
    decisions.record(transaction, Decision(kind, rollout.name, decision.verdict, change.by.name, endpoint, evidence))
    told = {
        "rollout": rollout.name,
        "endpoint": endpoint,
        "event": kind,
        "reason": decision.reason,
        "verdict": decision.verdict.value,
        "phase": after.phase.value,
        "step": after.step,
        "share": 0.0 if after.routing is None else after.routing.share,
    }
    webhooks.announce(transaction, kind, told)


def _move(
    transaction: Transaction, publisher: Publisher, rollout: Rollout, moved: tuple[RolloutState, RolloutState, Change]
) -> None:
    """Give the roles that the end of a rollout asks for; the registry's rules have the last word."""
    _, after, change = moved

    def give(role: RegistryRole, contender: Contender) -> None:
        wish = RoleAssignment(
            sha256=contender.sha256, reason=f"rollout {rollout.name}: {change.decision.reason}"[:2_000]
        )
        assign(transaction, publisher, (rollout.spec.endpoint, role), wish, change.by)

    if after.phase is Phase.PROMOTED:
        give(RegistryRole.CHAMPION, after.challenger)
        if rollout.spec.strategy.blue_green is not None:
            give(RegistryRole.CHALLENGER, after.champion)  # stays loaded: the way back is as fast
    elif after.phase is Phase.UNDONE:
        give(RegistryRole.CHAMPION, after.champion)
    elif after.phase is Phase.ROLLED_BACK and rollout.spec.on_rollback is OnRollback.ARCHIVE:
        give(RegistryRole.ARCHIVED, after.challenger)
