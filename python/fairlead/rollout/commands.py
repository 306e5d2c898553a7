"""What people do to a rollout, as functions of values. What is not possible is refused with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairlead.errors import ControlError
from fairlead.rollout.course import changed, enter, open_gates, step_of
from fairlead.rollout.engine import RULES
from fairlead.rollout.slicing import slice_size
from fairlead.schema.control import KeyRole
from fairlead.schema.guardrail import Guardrail, GuardrailKind
from fairlead.schema.outcomes import label_place
from fairlead.schema.registry import Verdict
from fairlead.schema.rollout import Control, Rollout
from fairlead.schema.rollout_state import (
    Action,
    Allocation,
    Approval,
    Contender,
    Evidence,
    Phase,
    RolloutDecision,
    RolloutState,
)
from fairlead.schema.signature import FeatureSpec, FeatureType, Scalar
from fairlead.schema.snapshot import Routing


@dataclass(frozen=True, slots=True)
class Facts:
    """What the registry knows when a rollout begins, and what chance gives."""

    champion: Contender
    challenger: Contender
    salt: str
    """At random, so that a unit's arm says nothing about the arms it was in before."""
    unit_key: str | None
    labels: Sequence[Scalar] = ()
    features: Sequence[FeatureSpec] = ()
    """Of the challenger's signature, which are the champion's too."""
    binary: bool = False
    """Whether the challenger decides by one score and a threshold."""
    first_epoch: int = 1
    """Above every epoch that the endpoint has had: telemetry never forgets."""
    run: int = 1
    unjoined: str | None = None
    """Why outcomes could not be joined with predictions; None where they can."""


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, when, and why."""

    actor: str
    role: KeyRole
    now: int
    reason: str = ""


Change = tuple[RolloutState, RolloutDecision]


def begin(rollout: Rollout, facts: Facts, now: int) -> Change:
    """Return the state of a rollout that has just started, its first step in force. Raises `ControlError`."""
    _check(rollout, facts)
    matched = rollout.spec.control is Control.MATCHED
    routing = Routing(
        salt=facts.salt,
        epoch=facts.first_epoch,
        challenger=facts.challenger.version,
        matched=matched,
        slices=rollout.spec.slice_columns,
    )
    state = RolloutState(
        phase=Phase.PROGRESSING,
        step_started_us=now,
        started_us=now,
        run=facts.run,
        champion=facts.champion,
        challenger=facts.challenger,
        labels=list(facts.labels),
        slice_sizes=slice_sizes(rollout, facts.features),
        routing=routing,
        allocations=[Allocation(epoch=facts.first_epoch, share=0.0, since_us=now, matched=matched)],
    )
    state = enter(rollout, state, 0, Evidence(), now)
    return state, _said(state, Action.ADVANCE, Verdict.INCONCLUSIVE, "started", By("control", KeyRole.OPERATOR, now))


def pause(rollout: Rollout, state: RolloutState, by: By) -> Change:
    """Stop going on; guardrails are still watched."""
    _running(rollout, state)
    if state.phase is not Phase.PROGRESSING:
        raise _refused(f"{rollout.name} is {state.phase.value} already")
    return _done(changed(state, phase=Phase.PAUSED), Action.PAUSE, "paused", by)


def resume(rollout: Rollout, state: RolloutState, by: By) -> Change:
    """Go on: end a pause, or overrule what held it."""
    _running(rollout, state)
    if state.phase is Phase.PROGRESSING:
        raise _refused(f"{rollout.name} is progressing already")
    if state.void:
        raise _refused(
            "the split was refuted: nothing that was counted means anything",
            "abort it, find out why units do not fall as told, and start it again",
        )
    if (
        rollout.spec.strategy.blue_green is not None
        and state.phase is Phase.PAUSED
        and _preview_over(rollout, state, by)
    ):
        raise _refused("the preview is over", "promote it, or abort it")
    here, overruled = step_of(rollout, state), list(state.overruled)
    if state.phase is Phase.HELD and state.holding is not None:
        overruled.append(state.holding)
    elif here is not None and here.pause is not None and here.pause.duration is None:
        overruled.append(f"pause:{state.step}")
    going = changed(state, phase=Phase.PROGRESSING, holding=None, overruled=overruled)
    return _done(going, Action.NONE, "resumed", by)


def promote(rollout: Rollout, state: RolloutState, by: By) -> Change:
    """Make the challenger champion now, whatever steps are left; not past an approval."""
    _running(rollout, state)
    gates = open_gates(rollout, state)
    if gates:
        raise _refused(f"step {gates[0]} asks for an approval first", f"`fairlead rollout approve {rollout.name}`")
    if rollout.spec.strategy.blue_green is not None and not _preview_over(rollout, state, by):
        raise _refused("the preview is not over", "previewSeconds says how long it lasts at least")
    ended = changed(state, phase=Phase.PROMOTED, routing=None, holding=None)
    return _done(ended, Action.PROMOTE, "promoted", by)


def abort(rollout: Rollout, state: RolloutState, by: By) -> Change:
    """End it without promotion: no traffic for the challenger from now on."""
    _running(rollout, state)
    ended = changed(state, phase=Phase.ROLLED_BACK, routing=None, holding=None)
    return _done(ended, Action.ROLLBACK, "aborted", by)


def undo(rollout: Rollout, state: RolloutState, by: By) -> Change:
    """Put the former champion back, at once."""
    if state.phase is not Phase.PROMOTED:
        raise _refused(f"{rollout.name} is {state.phase.value}: only a promotion can be undone")
    return _done(changed(state, phase=Phase.UNDONE), Action.ROLLBACK, "undone", by)


def approve(rollout: Rollout, state: RolloutState, by: By) -> Change:
    """Say yes to the step in force."""
    _running(rollout, state)
    here = step_of(rollout, state)
    if here is None or here.approve is None:
        raise _refused(f"step {state.step} of {rollout.name} asks for no approval")
    if not any(by.role.covers(role) for role in here.approve.roles):
        roles = " or ".join(role.value for role in here.approve.roles)
        raise ControlError(f"{by.actor} is {by.role.value}; to approve takes {roles}", code="forbidden")
    if state.step not in open_gates(rollout, state):
        raise _refused(f"step {state.step} is approved already")
    approval = Approval(step=state.step, actor=by.actor, role=by.role, at_us=by.now)
    return _done(changed(state, approvals=[*state.approvals, approval]), Action.NONE, "approved", by)


def _check(rollout: Rollout, facts: Facts) -> None:
    spec = rollout.spec
    if facts.champion.sha256 == facts.challenger.sha256:
        raise _refused(f"{facts.challenger.version} is the champion of {spec.endpoint} already")
    if spec.recalibrate is not None and not facts.binary:
        raise _refused("recalibrate: the challenger makes no binary decision, so that it has no threshold")
    if spec.unit is not None and spec.unit != facts.unit_key:
        raise _refused(
            f"the unit key of {spec.endpoint} is {facts.unit_key!r}, not {spec.unit!r}",
            f"`fairlead endpoint set {spec.endpoint} --unit-key {spec.unit}`",
        )
    divides = any(step.set_weight or step.set_cohort for step in spec.steps)
    if divides and facts.unit_key is None:
        raise _refused(
            f"{spec.endpoint} has no unit key, so that nobody would keep the variant that they had",
            f"`fairlead endpoint set {spec.endpoint} --unit-key FIELD`",
        )
    for guardrail in spec.guardrails:
        if guardrail.kind in (GuardrailKind.DECISION_RATE, GuardrailKind.FLIPS) and not any(
            type(label) is type(guardrail.metric) and label == guardrail.metric for label in facts.labels
        ):
            raise _refused(f"guardrail {guardrail.name!r}: {guardrail.metric!r} is none of {list(facts.labels)}")
        if guardrail.kind is GuardrailKind.OUTCOME:
            _check_outcome(guardrail, facts)
    slice_sizes(rollout, facts.features)


def slice_sizes(rollout: Rollout, features: Sequence[FeatureSpec]) -> dict[str, int]:
    """Return how many slices each column that guardrails name can have. Raises `ControlError` for what is no column."""
    known = {feature.name: feature for feature in features}
    for number, guardrail in enumerate(rollout.spec.guardrails):
        for column in guardrail.columns:
            where = f"spec.guardrails[{number}].by ({guardrail.name})"
            if column not in known:
                raise _refused(f"{where}: expected a feature of the signature, got {column!r}; there are {list(known)}")
            if known[column].type is FeatureType.FLOAT:
                raise _refused(f"{where}: expected a string, an integer or a boolean, and {column!r} is a float")
    return {column: slice_size(known[column]) for column in rollout.spec.slice_columns}


def _check_outcome(guardrail: Guardrail, facts: Facts) -> None:
    name, labels = f"guardrail {guardrail.name!r}", list(facts.labels)
    if facts.unjoined is not None:
        raise _refused(f"{name}: {facts.unjoined}", "docs/guides/rollouts.md says how outcomes are joined")
    if not labels:
        raise _refused(f"{name}: the model decides no label that an outcome could be compared with")
    if guardrail.outcome_metric.needs_positive and guardrail.positive is None and len(labels) != 2:
        raise _refused(f"{name}: which of {labels} is the positive one? Say it with `positive`")
    absent = None if guardrail.labels is None else guardrail.labels.absent
    for field, label in (("positive", guardrail.positive), ("labels.absent", absent)):
        if label is not None and label_place(label, labels) is None:
            raise _refused(f"{name}: {field} {label!r} is none of {labels}")


def _running(rollout: Rollout, state: RolloutState) -> None:
    if state.phase.ended:
        raise _refused(f"{rollout.name} has ended: {state.phase.value}", f"`fairlead rollout start {rollout.name}`")


def _preview_over(rollout: Rollout, state: RolloutState, by: By) -> bool:
    plan = rollout.spec.strategy.blue_green
    assert plan is not None
    return by.now - state.step_started_us >= plan.preview_seconds * 1_000_000


def _done(state: RolloutState, action: Action, what: str, by: By) -> Change:
    return state, _said(state, action, Verdict.INCONCLUSIVE, f"{what}: {by.reason}" if by.reason else what, by)


def _said(state: RolloutState, action: Action, verdict: Verdict, reason: str, by: By) -> RolloutDecision:
    return RolloutDecision(
        action=action,
        verdict=verdict,
        reason=reason,
        step=state.step,
        at_us=by.now,
        code_version=f"rules {RULES}",
        actor=by.actor,
    )


def _refused(why: str, hint: str | None = None) -> ControlError:
    return ControlError(why, code="rollout_refused", hint=hint)
