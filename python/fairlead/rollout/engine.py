"""The engine: `decide(rollout, state, evidence, now)`. Values in, values out; it may be asked as often as one likes.

The rules in their order; the first that has something to say decides:

| rule | what it does |
| --- | --- |
| harm | a guardrail with action `rollback` shows harm: roll back, whatever else is |
| split | units do not fall to arms as told: no evidence means anything; hold |
| guardrail | one with action `hold` shows harm: hold |
| deadline | `maxDuration` is over: hold |
| waiting | a person, or a `pause: {}`, has stopped it: nothing |
| cohort | more units than the cohort allows: a smaller share |
| step | what the step in force asks for: advance, promote, or wait; `recalibrate` goes before units |

Protection comes before everything, a person's approval last. Missing or stale telemetry is never health: nothing
advances on it, and nothing is promoted.
"""

from __future__ import annotations

from collections.abc import Callable

from fairlead.rollout.assessment import assess
from fairlead.rollout.course import changed, size_cohort, step_of
from fairlead.rollout.recalibration import recalibrated
from fairlead.rollout.steps import Look, Outcome, stale, take_step
from fairlead.schema.guardrail import GuardrailAction
from fairlead.schema.registry import Verdict
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import Action, Assessment, Evidence, Phase, RolloutDecision, RolloutState

RULES = "2"
"""Changes with anything here, or in the evidence, that could decide another way."""
_SLACK = 1.1
"""How far a cohort may outgrow its size before its share is cut: the sketches are right within some percent."""


def decide(rollout: Rollout, state: RolloutState, evidence: Evidence, now: int) -> tuple[RolloutState, RolloutDecision]:
    """Return what follows from the evidence at `now` (microseconds), and the state after it."""
    if state.phase.ended:
        return state, _decision(Outcome(state, Action.NONE, Verdict.PASS, f"it has ended: {state.phase.value}"), now)
    look = Look(rollout, state, evidence, assess(rollout, state, evidence), now)
    for rule in _RULES:
        outcome = rule(look)
        if outcome is not None:
            break
    else:
        outcome = recalibrated(look, take_step(look))
    return outcome.state, _decision(outcome, now, look)


def is_news(before: RolloutState, after: RolloutState, decision: RolloutDecision) -> bool:
    """Whether a decision says what the last one did not: only such are recorded."""
    said = (decision.action, decision.verdict, decision.reason)
    moved = (after.routing, after.phase, after.step) != (before.routing, before.phase, before.step)
    return moved or (decision.action is not Action.NONE and before.last != said)


def noted(state: RolloutState, decision: RolloutDecision) -> RolloutState:
    """Return the state that remembers the decision as its last."""
    return changed(state, last=(decision.action, decision.verdict, decision.reason))


def _harm(look: Look) -> Outcome | None:
    harmful = [_named(one) for one in look.found.guardrails if one.harmful and one.action is GuardrailAction.ROLLBACK]
    if not harmful:
        return None
    why = f"harm is shown: {', '.join(harmful)}"
    if look.found.split_refuted or look.state.void:
        # Whom it harmed cannot be said: a wrong split looks like a shift, too. Protection does not wait for that.
        return look.roll_back(Verdict.ERROR, f"{why}; but units do not fall to arms as told, so that nothing is proven")
    return look.roll_back(Verdict.FAIL, why)


def _named(guardrail: Assessment) -> str:
    """Return its name, and those of the slices that it is about."""
    slices = [one.name for one in guardrail.slices if one.harmful]
    return f"{guardrail.name} ({', '.join(slices)})" if slices else guardrail.name


def _split(look: Look) -> Outcome | None:
    if not look.found.split_refuted and not look.state.void:
        return None
    held = changed(look.state, phase=Phase.HELD, holding="split", void=True)
    why = "units do not fall to champion and challenger in the shares intended; the experiment is void"
    return Outcome(held, Action.HOLD, Verdict.ERROR, why)


def _guardrail(look: Look) -> Outcome | None:
    for one in look.found.guardrails:
        if one.harmful and one.action is GuardrailAction.HOLD and one.name not in look.state.overruled:
            return look.hold(one.name, Verdict.FAIL, f"harm is shown: {_named(one)}")
    return None


def _deadline(look: Look) -> Outcome | None:
    longest = look.rollout.spec.max_duration
    if longest is None or "maxDuration" in look.state.overruled:
        return None
    if look.now - look.state.started_us < longest * 1_000_000:
        return None
    return look.hold("maxDuration", Verdict.INCONCLUSIVE, "maxDuration is over")


def _waiting(look: Look) -> Outcome | None:
    if look.state.phase is Phase.PROGRESSING:
        return None
    return Outcome(look.state, Action.NONE, Verdict.INCONCLUSIVE, f"{look.state.phase.value}, until somebody acts")


def _cohort(look: Look) -> Outcome | None:
    """Sizes a cohort for which units were not known yet, and cuts the share of one that has outgrown its size."""
    here, size = step_of(look.rollout, look.state), look.state.cohort
    if stale(look.evidence) is not None:
        return None
    if size is None:
        if here is None or here.set_cohort is None or look.evidence.known_units == 0:
            return None
        sized = size_cohort(look.state, here.set_cohort.max_units, look.evidence, look.now)
    elif size.share * look.evidence.known_units > _SLACK * size.max_units:
        sized = size_cohort(look.state, size.max_units, look.evidence, look.now)
    else:
        return None
    return Outcome(
        sized, Action.NONE, Verdict.PASS, f"the cohort is sized to {sized.cohort and sized.cohort.share:.2%}"
    )


_RULES: tuple[Callable[[Look], Outcome | None], ...] = (_harm, _split, _guardrail, _deadline, _waiting, _cohort)


def _decision(outcome: Outcome, now: int, look: Look | None = None) -> RolloutDecision:
    return RolloutDecision(
        action=outcome.action,
        verdict=outcome.verdict,
        reason=outcome.reason,
        step=outcome.state.step if look is None else look.state.step,
        at_us=now,
        assessments=None if look is None else look.found,
        evidence=None if look is None else look.evidence,
        code_version=f"rules {RULES}",
    )
