"""Every rule and every step of the engine, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.rollout import commands
from fairlead.rollout.engine import decide, is_news, noted
from fairlead.rollout.replay import replay
from fairlead.schema.registry import Verdict
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import Action, Evidence, Phase, RolloutDecision, RolloutState
from fairlead.schema.telemetry import LATENCY_EDGES_US
from tests.serverkit.rollouts import ERRORS, PROVEN, STEPS, alike, arm, at, begun, by, counted, evidence, rollout

NOBODY = Evidence()
HALF: dict[str, Any] = {"setWeight": 50}


def advanced(document: Rollout, state: RolloutState, seconds: float, times: int = 1) -> RolloutState:
    for _ in range(times):
        state, decision = decide(document, state, alike(state), at(seconds))
        assert decision.action is Action.ADVANCE, decision.reason
    return state


def at_half() -> tuple[Rollout, RolloutState]:
    document = rollout(HALF, PROVEN)
    return document, advanced(document, begun(document), 1)


def said(decision: RolloutDecision) -> tuple[Action, Verdict]:
    return decision.action, decision.verdict


def test_it_begins_with_the_first_step_in_force() -> None:
    state = begun(rollout())
    assert (state.phase, state.step) == (Phase.PROGRESSING, 0)
    assert state.routing is not None
    assert (state.routing.share, state.routing.epoch, state.routing.challenger) == (0.05, 2, "2")
    assert [one.epoch for one in state.allocations] == [1, 2]


def test_a_good_challenger_goes_through_all_steps_and_is_promoted() -> None:
    document = rollout()
    state = begun(document)
    state = advanced(document, state, 1)
    waiting, decision = decide(document, state, alike(state), at(599))
    assert (waiting, decision.action) == (state, Action.NONE)
    state = advanced(document, state, 601, times=2)
    assert state.routing is not None
    assert (state.step, state.routing.share, state.routing.epoch) == (3, 0.5, 3)
    state, decision = decide(document, state, alike(state, 500), at(700))
    assert said(decision) == (Action.HOLD, Verdict.INCONCLUSIVE)
    assert decision.reason == "not yet shown safe: errors"
    state, decision = decide(document, state, alike(state, 60_000), at(800))
    assert said(decision) == (Action.ADVANCE, Verdict.PASS)
    state, decision = decide(document, state, alike(state, 60_000), at(801))
    assert said(decision) == (Action.PROMOTE, Verdict.PASS)
    assert (state.phase, state.routing) == (Phase.PROMOTED, None)


def test_harm_rolls_back_at_once_whatever_else_is() -> None:
    document, state = at_half()
    worse = alike(state, ratio=2.0)
    for found in (worse, worse.model_copy(update={"replicas_reporting": 0})):
        after, decision = decide(document, state, found, at(2))
        assert said(decision) == (Action.ROLLBACK, Verdict.FAIL)
        assert (after.phase, after.routing) == (Phase.ROLLED_BACK, None)
    paused, _ = commands.pause(document, state, by(2))
    assert decide(document, paused, worse, at(3))[1].action is Action.ROLLBACK


def test_levels_are_divided_among_guardrails_that_roll_back() -> None:
    several = [ERRORS, {"name": "violations", "kind": "violations"}, {**ERRORS, "name": "own", "alpha": 0.01}]
    document = rollout(HALF, PROVEN, guardrails=[*several, {**ERRORS, "name": "held", "action": "hold"}])
    state = begun(document)
    _, decision = decide(document, state, alike(state), at(1))
    assert decision.assessments is not None
    levels = {one.name: one.alpha_harm for one in decision.assessments.guardrails}
    assert levels == {"errors": 0.02, "violations": 0.02, "own": 0.01, "held": 0.05}


def test_a_refuted_split_voids_the_experiment() -> None:
    document, state = at_half()
    skewed = evidence(counted(2, arm(10_000, 200), arm(9_000, 180)))
    state, decision = decide(document, state, skewed, at(2))
    assert said(decision) == (Action.HOLD, Verdict.ERROR)
    assert (state.phase, state.void) == (Phase.HELD, True)
    for found in (alike(state, 60_000), NOBODY):
        again, decision = decide(document, state, found, at(3))
        assert again == state
        assert said(decision) == (Action.HOLD, Verdict.ERROR)


def test_harm_under_a_refuted_split_rolls_back_and_claims_nothing() -> None:
    document, state = at_half()
    skewed = evidence(counted(2, arm(10_000, 200), arm(9_000, 400)))
    after, decision = decide(document, state, skewed, at(2))
    assert (after.phase, said(decision)) == (Phase.ROLLED_BACK, (Action.ROLLBACK, Verdict.ERROR))
    assert "nothing is proven" in decision.reason


def test_units_that_several_replicas_saw_are_one_unit_each() -> None:
    document, state = at_half()
    once = evidence(counted(2, arm(5_060), arm(4_940)))
    many = evidence(counted(2, arm(5_060 * 50), arm(4_940 * 50)))
    told = evidence(counted(2, arm(5_060 * 50), arm(4_940 * 50), duplication=50.0))
    found = [decide(document, state, one, at(2))[1].assessments for one in (once, many, told)]
    assert [one is not None and one.split_refuted for one in found] == [False, True, False]


def test_a_guardrail_that_holds_holds_until_overruled() -> None:
    document = rollout(HALF, PROVEN, guardrails=[{**ERRORS, "action": "hold"}])
    state = advanced(document, begun(document), 1)
    worse = alike(state, ratio=2.0)
    state, decision = decide(document, state, worse, at(2))
    assert said(decision) == (Action.HOLD, Verdict.FAIL)
    assert state.phase is Phase.HELD
    state, _ = commands.resume(document, state, by(3))
    state, decision = decide(document, state, worse, at(4))
    assert (state.phase, decision.verdict) == (Phase.PROGRESSING, Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("missing", [NOBODY, {"replicas_reporting": 1}, {"replicas_behind": 1}])
def test_missing_telemetry_is_never_health(missing: Any) -> None:
    document, state = at_half()
    good = alike(state, 60_000)
    found = missing if isinstance(missing, Evidence) else good.model_copy(update=missing)
    after, decision = decide(document, state, found, at(2))
    assert (after, said(decision)) == (state, (Action.HOLD, Verdict.ERROR))


def test_time_alone_advances_nothing_that_has_had_no_traffic() -> None:
    document = rollout(HALF, {"pause": {"duration": "1m"}})
    state = advanced(document, begun(document), 1)
    silent = evidence(counted(2, arm(100), arm(0)))
    after, decision = decide(document, state, silent, at(100))
    assert (after, said(decision)) == (state, (Action.HOLD, Verdict.INCONCLUSIVE))


def test_nothing_is_promoted_that_has_had_no_traffic() -> None:
    document = rollout(HALF)
    state = advanced(document, begun(document), 1)
    state, decision = decide(document, state, evidence(counted(2, arm(100), arm(0))), at(2))
    assert said(decision) == (Action.HOLD, Verdict.INCONCLUSIVE)
    assert decide(document, state, alike(state, 100), at(3))[1].action is Action.PROMOTE


def test_too_few_units_prove_nothing() -> None:
    few = {"analysis": {"until": {"proven": ["errors"], "minUnits": 40_000, "minDuration": "1h"}}}
    document = rollout(HALF, few)
    state = advanced(document, begun(document), 1)
    assert decide(document, state, alike(state, 60_000), at(9_999))[1].reason == "fewer units than minUnits"
    assert decide(document, state, alike(state, 90_000), at(60))[1].reason == "minDuration is not over"
    assert decide(document, state, alike(state, 90_000), at(9_999))[1].action is Action.ADVANCE


@pytest.mark.parametrize(
    ("on_timeout", "phase", "action"),
    [
        ("hold", Phase.HELD, Action.HOLD),
        ("rollback", Phase.ROLLED_BACK, Action.ROLLBACK),
        ("promote", Phase.PROMOTED, Action.PROMOTE),
    ],
)
def test_an_analysis_that_times_out_does_what_it_says(on_timeout: str, phase: Phase, action: Action) -> None:
    document = rollout(HALF, {"analysis": {**PROVEN["analysis"], "onTimeout": on_timeout}})
    state = advanced(document, begun(document), 1)
    assert decide(document, state, alike(state, 500), at(3_600))[1].action is Action.HOLD
    after, decision = decide(document, state, alike(state, 500), at(3_602))
    assert (after.phase, said(decision)) == (phase, (action, Verdict.INCONCLUSIVE))
    silent, decision = decide(document, state, NOBODY, at(3_602))
    assert silent.phase is (Phase.PROGRESSING if on_timeout == "promote" else phase)


def test_a_timeout_that_would_promote_stops_at_an_approval() -> None:
    skip = {"analysis": {**PROVEN["analysis"], "onTimeout": "promote"}}
    document = rollout(HALF, skip, {"setWeight": 60}, {"approve": {}}, {"setWeight": 70})
    state = advanced(document, begun(document), 1)
    state, decision = decide(document, state, alike(state, 500), at(3_602))
    assert (state.step, said(decision)) == (3, (Action.ADVANCE, Verdict.INCONCLUSIVE))


def test_a_timeout_that_was_overruled_waits_on() -> None:
    document, state = at_half()
    state, _ = decide(document, state, alike(state, 500), at(3_602))
    assert state.holding == "timeout:1"
    state, _ = commands.resume(document, state, by(3_700))
    state, decision = decide(document, state, alike(state, 500), at(9_000))
    assert (state.phase, decision.action) == (Phase.PROGRESSING, Action.HOLD)
    state, decision = decide(document, state, alike(state, 60_000), at(9_001))
    assert said(decision) == (Action.ADVANCE, Verdict.PASS)


def test_the_deadline_holds() -> None:
    document = rollout(HALF, {"pause": {"duration": "2h"}}, maxDuration="1h")
    state = advanced(document, begun(document), 1)
    state, decision = decide(document, state, alike(state), at(3_601))
    assert (state.phase, said(decision)) == (Phase.HELD, (Action.HOLD, Verdict.INCONCLUSIVE))
    state, _ = commands.resume(document, state, by(3_700))
    assert decide(document, state, alike(state), at(3_701))[0].phase is Phase.PROGRESSING


def test_a_pause_without_end_waits_for_a_person() -> None:
    document = rollout(HALF, {"pause": {}}, {"setWeight": 60})
    state = advanced(document, begun(document), 1)
    assert (state.phase, state.step) == (Phase.PAUSED, 1)
    assert decide(document, state, alike(state), at(10**6))[0] == state
    state, _ = commands.resume(document, state, by(5))
    state, decision = decide(document, state, alike(state), at(6))
    assert (state.step, decision.action) == (2, Action.ADVANCE)


def test_a_pause_as_the_first_step_pauses_too() -> None:
    document = rollout({"pause": {}}, HALF)
    state, decision = decide(document, begun(document), alike(begun(document)), at(1))
    assert (state.phase, decision.action) == (Phase.PAUSED, Action.PAUSE)


def test_an_approval_is_waited_for() -> None:
    document = rollout({"approve": {"roles": ["approver"]}})
    state = begun(document)
    after, decision = decide(document, state, alike(state), at(1))
    assert (after, said(decision)) == (state, (Action.HOLD, Verdict.INCONCLUSIVE))
    state, _ = commands.approve(document, state, by(2))
    assert decide(document, state, alike(state), at(3))[1].action is Action.ADVANCE


def test_a_cohort_is_sized_by_the_units_that_are_known() -> None:
    document = rollout({"setCohort": {"maxUnits": 1_000}}, {"pause": {"duration": "1m"}})
    state = begun(document)
    assert state.routing is not None
    assert state.routing.share == 0
    state, decision = decide(document, state, evidence(known_units=0), at(1))
    assert said(decision) == (Action.HOLD, Verdict.INCONCLUSIVE)
    state, decision = decide(document, state, evidence(known_units=20_000), at(2))
    assert state.cohort is not None
    assert state.routing is not None
    assert (state.routing.share, state.cohort.known_units) == (0.05, 20_000)
    state, decision = decide(document, state, evidence(known_units=20_000), at(3))
    assert (state.step, decision.action) == (1, Action.ADVANCE)
    epoch = state.allocations[-1].epoch
    grown = evidence(counted(epoch, arm(950), arm(50)), known_units=40_000)
    state, decision = decide(document, state, grown, at(4))
    assert state.routing is not None
    assert (state.routing.share, state.routing.epoch, decision.action) == (0.025, epoch + 1, Action.NONE)
    assert decide(document, state, evidence(known_units=41_000), at(5))[0].routing == state.routing


def test_a_cohort_keeps_its_size_while_reports_are_missing() -> None:
    document = rollout({"setCohort": {"maxUnits": 1_000}}, {"pause": {"duration": "1m"}})
    silent = {"replicas_reporting": 1}
    state = begun(document)
    unsized, decision = decide(document, state, evidence(known_units=20_000, **silent), at(1))
    assert (unsized, decision.verdict) == (state, Verdict.ERROR)
    sized, _ = decide(document, state, evidence(known_units=20_000), at(2))
    assert decide(document, sized, evidence(known_units=40_000, **silent), at(3))[0] == sized
    assert decide(document, sized, evidence(known_units=40_000), at(3))[0] != sized


def test_a_cohort_leaves_a_control() -> None:
    document = rollout({"setCohort": {"maxUnits": 1_000}})
    state, _ = decide(document, begun(document), evidence(known_units=700), at(1))
    assert state.routing is not None
    assert state.routing.share == 0.5


def test_regions_and_shadows_are_shares_too() -> None:
    document = rollout({"shadow": {"percent": 100}}, {"setRegions": ["eu", "ap"]}, {"setRegions": "*"}, HALF)
    state = begun(document)
    assert state.routing is not None
    assert (state.routing.shadow, state.routing.shadow_share, state.routing.share) == ("2", 1.0, 0.0)
    state = advanced(document, state, 1)
    assert state.routing is not None
    assert (state.routing.regions, state.routing.epoch) == (["ap", "eu"], 3)
    state = advanced(document, state, 2, times=2)
    assert state.routing is not None
    assert (state.routing.regions, state.routing.share, state.routing.shadow_share) == (None, 0.5, 1.0)


def test_shadow_flips_roll_back_before_anybody_is_answered() -> None:
    flips = {"name": "declines", "kind": "flips", "metric": True}
    document = rollout({"shadow": {"percent": 100}}, {"pause": {"duration": "1m"}}, guardrails=[flips])
    state = advanced(document, begun(document), 1)
    fair = counted(2, arm(1_000), arm(0), pairs=1_000, flips=[(False, True, 40), (True, False, 38)])
    assert decide(document, state, evidence(fair), at(61))[1].action is Action.ADVANCE
    worse = counted(2, arm(1_000), arm(0), pairs=1_000, flips=[(False, True, 60), (True, False, 10)])
    assert said(decide(document, state, evidence(worse), at(2))[1]) == (Action.ROLLBACK, Verdict.FAIL)


@pytest.mark.parametrize(
    ("guardrail", "challenger"),
    [
        ({"kind": "violations"}, {"violations": 400}),
        ({"kind": "decision_rate", "metric": True}, {"decisions": [4_400, 600]}),
        ({"kind": "decision_rate", "metric": True, "direction": "decrease"}, {"decisions": [4_980, 20]}),
        ({"kind": "decision_rate", "metric": True, "direction": "either"}, {"decisions": [4_980, 20]}),
        ({"kind": "quantile", "q": 0.99}, {"latencies": [0] * 30 + [5_000] + [0] * (len(LATENCY_EDGES_US) - 30)}),
        ({"kind": "distribution"}, {"scores": [2_500, 2_500] + [0] * 18}),
    ],
)
def test_each_kind_of_guardrail_sees_its_harm_and_no_other(guardrail: Any, challenger: Any) -> None:
    champion = arm(5_000, violations=200, decisions=[4_750, 250])
    same = arm(5_000, violations=200, decisions=[4_750, 250])
    document = rollout(HALF, {"pause": {}}, guardrails=[{"name": "it", **guardrail}])
    state = advanced(document, begun(document), 1)
    good = decide(document, state, evidence(counted(2, champion, same)), at(2))[1]
    assert good.action is Action.NONE, good.reason
    worse = same.model_copy(update=challenger)
    bad = decide(document, state, evidence(counted(2, champion, worse)), at(2))[1]
    assert (bad.action, bad.reason) == (Action.ROLLBACK, "harm is shown: it")


@pytest.mark.parametrize(
    "guardrail",
    [
        {"kind": "quantile", "q": 0.9, "margin": {"abs": 50}},
        {"kind": "quantile", "q": 0.9, "margin": {"ratio": 2}},
        {"kind": "distribution", "margin": {"abs": 0.1}},
        {"kind": "decision_rate", "metric": False, "direction": "either", "margin": {"ratio": 1.2}},
    ],
)
def test_each_kind_can_be_proven_safe_within_its_margin(guardrail: Any) -> None:
    proven = {"analysis": {"until": {"proven": ["it"]}}}
    document = rollout(HALF, proven, guardrails=[{"name": "it", **guardrail}])
    state = advanced(document, begun(document), 1)
    few = evidence(counted(2, arm(10), arm(10)))
    many = evidence(counted(2, arm(50_000), arm(50_000)))
    assert decide(document, state, few, at(2))[1].action is Action.HOLD
    assert decide(document, state, many, at(2))[1].action is Action.ADVANCE


def test_counts_are_never_pooled_over_shares() -> None:
    """On a ramp from 5 % to 50 % with alike arms, pooled counts would look like harm."""
    document = rollout({"setWeight": 5}, {"setWeight": 50}, {"pause": {}})
    state = advanced(document, begun(document), 1, times=2)
    first = counted(2, arm(9_500, 950), arm(500, 50))
    second = counted(3, arm(5_000, 50), arm(5_000, 50))
    _, decision = decide(document, state, evidence(first, second), at(2))
    assert decision.action is Action.NONE
    assert decision.assessments is not None
    assert decision.assessments.guardrails[0].ratio == pytest.approx(1.0)


def test_blue_green_previews_and_swaps() -> None:
    plan = {"blueGreen": {"autoPromotion": True, "autoPromotionSeconds": 60, "previewSeconds": 30}}
    document = rollout(strategy=plan)
    state = begun(document)
    assert state.routing is not None
    assert (state.routing.share, state.routing.challenger, state.routing.override) == (0.0, "2", True)
    assert decide(document, state, alike(state), at(59))[1].action is Action.NONE
    assert decide(document, state, NOBODY, at(61))[1].action is Action.HOLD
    state, decision = decide(document, state, alike(state), at(61))
    assert (state.phase, decision.action) == (Phase.PROMOTED, Action.PROMOTE)
    state, _ = commands.undo(document, state, by(70))
    assert state.phase is Phase.UNDONE


def test_blue_green_without_auto_promotion_waits() -> None:
    document = rollout(strategy={"blueGreen": {"previewSeconds": 30}})
    state, decision = decide(document, begun(document), alike(begun(document)), at(31))
    assert (state.phase, decision.action) == (Phase.PAUSED, Action.PAUSE)


def test_what_has_ended_stays_as_it_is() -> None:
    document, state = at_half()
    ended, _ = commands.abort(document, state, by(2))
    assert decide(document, ended, alike(state, ratio=3), at(3)) == (ended, decide(document, ended, NOBODY, at(3))[1])


def test_a_decision_is_recorded_once_and_can_be_replayed() -> None:
    document, state = at_half()
    found = alike(state, 500)
    after, decision = decide(document, state, found, at(2))
    assert is_news(state, after, decision)
    after = noted(after, decision)
    again, repeated = decide(document, after, found, at(3))
    assert not is_news(after, again, repeated)
    kept = RolloutDecision.model_validate_json(decision.canonical_json())
    assert replay(document, RolloutState.model_validate_json(state.canonical_json()), kept) == decision


def test_the_document_survives_as_it_was() -> None:
    document = rollout(*STEPS, {"pause": {"duration": "1h30m"}})
    again = Rollout.model_validate_json(document.canonical_json())
    assert again == document
    assert document.model_dump()["spec"]["strategy"]["canary"]["steps"][-1] == {"pause": {"duration": "1h30m"}}
