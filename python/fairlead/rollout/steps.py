"""What each step asks for, and when it is done."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.rollout.course import changed, enter, open_gates, sends_traffic, step_of
from fairlead.schema.registry import Verdict
from fairlead.schema.rollout import Analysis, OnTimeout, Rollout, Step
from fairlead.schema.rollout_state import Action, Assessments, Evidence, Phase, RolloutState

SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule says."""

    state: RolloutState
    action: Action
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that a rule may look at."""

    rollout: Rollout
    state: RolloutState
    evidence: Evidence
    found: Assessments
    now: int

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return (self.now - self.state.step_started_us) / SECOND

    def wait(self, verdict: Verdict, reason: str) -> Outcome:
        """Stay where it is until the next look."""
        return Outcome(self.state, Action.HOLD, verdict, reason)

    def hold(self, key: str, verdict: Verdict, reason: str) -> Outcome:
        """Stay until a person acts; resuming overrules `key`."""
        return Outcome(changed(self.state, phase=Phase.HELD, holding=key), Action.HOLD, verdict, reason)

    def roll_back(self, verdict: Verdict, reason: str) -> Outcome:
        """End it: no traffic for the challenger."""
        ended = changed(self.state, phase=Phase.ROLLED_BACK, routing=None, holding=None)
        return Outcome(ended, Action.ROLLBACK, verdict, reason)

    def promote(self, verdict: Verdict, reason: str) -> Outcome:
        """End it: the challenger becomes champion."""
        ended = changed(self.state, phase=Phase.PROMOTED, routing=None, holding=None)
        return Outcome(ended, Action.PROMOTE, verdict, reason)


def stale(evidence: Evidence) -> str | None:
    """Return why nothing can be said of the endpoint's health; None where every replica has reported lately."""
    if evidence.replicas_expected == 0:
        return "no replica reports"
    if evidence.replicas_reporting < evidence.replicas_expected:
        return "a replica has fallen silent"
    if evidence.replicas_behind:
        return "a replica does not apply what it is told"
    return None if evidence.outcomes is None else evidence.outcomes.problem


def take_step(look: Look) -> Outcome:
    """Return what the step in force asks for."""
    if look.rollout.spec.strategy.blue_green is not None:
        return _preview(look)
    here = step_of(look.rollout, look.state)
    if here is not None and here.analysis is not None:
        timed_out = _timeout(look, here.analysis)
        if timed_out is not None:
            return timed_out
    missing = stale(look.evidence)
    if missing is not None:
        return look.wait(Verdict.ERROR, missing)
    return _end(look) if here is None else _step(look, here)


def _step(look: Look, here: Step) -> Outcome:
    if here.pause is not None:
        return _pause(look, here.pause.duration)
    if here.approve is not None:
        roles = " or ".join(role.value for role in here.approve.roles)
        if look.state.step in open_gates(look.rollout, look.state):
            return look.wait(Verdict.INCONCLUSIVE, f"waiting for the approval of {roles}")
        return _advance(look, "approved")
    if here.analysis is not None:
        lacking = _lacking(look, here.analysis)
        return _advance(look, "the analysis has passed") if not lacking else look.wait(Verdict.INCONCLUSIVE, lacking)
    if here.set_cohort is not None and look.state.cohort is None:
        return look.wait(Verdict.INCONCLUSIVE, "no units are known yet to size the cohort by")
    return _advance(look, f"{here.kind} is in force")


def _advance(look: Look, why: str) -> Outcome:
    following = enter(look.rollout, look.state, look.state.step + 1, look.evidence, look.now)
    here = step_of(look.rollout, following)
    if here is not None and here.pause is not None and here.pause.duration is None:
        following = changed(following, phase=Phase.PAUSED)
    return Outcome(following, Action.ADVANCE, Verdict.PASS, f"step {look.state.step}: {why}")


def _end(look: Look) -> Outcome:
    """All steps are done."""
    if sends_traffic(look.state) and not _seen(look):
        return look.wait(Verdict.INCONCLUSIVE, "the challenger has had no traffic yet at its present share")
    asked = [step for step in look.rollout.spec.steps if step.analysis is not None and step.analysis.until.proven]
    if not asked:
        return look.promote(Verdict.INCONCLUSIVE, "all steps are done; none asked for safety to be shown")
    overruled = [key for key in look.state.overruled if key.startswith("timeout:")]
    verdict = Verdict.INCONCLUSIVE if overruled else Verdict.PASS
    return look.promote(verdict, "all steps are done")


def _pause(look: Look, seconds: float | None) -> Outcome:
    step = look.state.step
    if seconds is None:
        if f"pause:{step}" in look.state.overruled:
            return _advance(look, "resumed")
        return Outcome(changed(look.state, phase=Phase.PAUSED), Action.PAUSE, Verdict.INCONCLUSIVE, "the step pauses")
    if look.elapsed < seconds:
        return Outcome(look.state, Action.NONE, Verdict.INCONCLUSIVE, "the pause is not over")
    if sends_traffic(look.state) and not _seen(look):
        return look.wait(Verdict.INCONCLUSIVE, "the challenger has had no traffic yet at its present share")
    return _advance(look, "the pause is over")


def _seen(look: Look) -> bool:
    """Whether the challenger has had requests in the present epoch, which it surely must have."""
    routing = look.state.routing
    assert routing is not None
    here = next((one for one in look.evidence.epochs if one.epoch == routing.epoch), None)
    if here is None:
        return False
    return here.challenger.requests > 0 if routing.share > 0 else here.pairs > 0


def _lacking(look: Look, analysis: Analysis) -> str:
    """Return what an analysis still waits for; empty where all of it is there."""
    until = analysis.until
    safe = {one.name for one in look.found.guardrails if one.safe}
    unproven = [name for name in until.proven if name not in safe]
    if unproven:
        return f"not yet shown safe: {', '.join(unproven)}"
    if look.evidence.challenger_units < until.min_units:
        return "fewer units than minUnits"
    if look.elapsed < until.min_duration:
        return "minDuration is not over"
    if sends_traffic(look.state) and not _seen(look):
        return "the challenger has had no traffic yet at its present share"
    return ""


def _timeout(look: Look, analysis: Analysis) -> Outcome | None:
    """What follows where an analysis took too long; None where it has not, or is just passing."""
    key = f"timeout:{look.state.step}"
    if analysis.timeout is None or look.elapsed < analysis.timeout or key in look.state.overruled:
        return None
    missing = stale(look.evidence)
    if missing is None and not _lacking(look, analysis):
        return None
    why = f"step {look.state.step}: the analysis has timed out"
    if analysis.on_timeout is OnTimeout.ROLLBACK:
        return look.roll_back(Verdict.INCONCLUSIVE, why)
    if analysis.on_timeout is OnTimeout.HOLD:
        return look.hold(key, Verdict.INCONCLUSIVE, why)
    return _promote_on_timeout(look, why, missing)


def _promote_on_timeout(look: Look, why: str, missing: str | None) -> Outcome:
    """Skip to the next approval, or to the end; missing telemetry promotes nothing."""
    if missing is not None:
        return look.wait(Verdict.ERROR, missing)
    if sends_traffic(look.state) and not _seen(look):
        return look.wait(Verdict.INCONCLUSIVE, "the challenger has had no traffic yet at its present share")
    gates = [gate for gate in open_gates(look.rollout, look.state) if gate > look.state.step]
    if not gates:
        return look.promote(Verdict.INCONCLUSIVE, why)
    waiting = enter(look.rollout, look.state, gates[0], look.evidence, look.now)
    return Outcome(waiting, Action.ADVANCE, Verdict.INCONCLUSIVE, f"{why}; an approval is left")


def _preview(look: Look) -> Outcome:
    plan = look.rollout.spec.strategy.blue_green
    assert plan is not None
    missing = stale(look.evidence)
    if missing is not None:
        return look.wait(Verdict.ERROR, missing)
    if look.elapsed < max(plan.preview_seconds, plan.auto_promotion_seconds if plan.auto_promotion else 0):
        return Outcome(look.state, Action.NONE, Verdict.INCONCLUSIVE, "the preview is not over")
    if not plan.auto_promotion:
        paused = changed(look.state, phase=Phase.PAUSED)
        return Outcome(paused, Action.PAUSE, Verdict.INCONCLUSIVE, "the preview waits for somebody to promote it")
    return look.promote(Verdict.INCONCLUSIVE, "the preview is over")
