"""From outcomes to evidence: late, corrected, doubled, early; and that false alarms stay as rare as promised."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fairlead.rollout.engine import decide
from fairlead.rollout.evidence.ramp import Epoch, RatioTest, Side
from fairlead.rollout.exposure import Exposed
from fairlead.rollout.outcome_assessment import outcomes_shown
from fairlead.rollout.outcomes import Told, counts_of, ids_of
from fairlead.rollout.replay import replay
from fairlead.schema.guardrail import Guardrail
from fairlead.schema.outcome_evidence import ODDS_STEP, OutcomeCounts, OutcomeEvidence
from fairlead.schema.outcomes import OutcomeRecord
from fairlead.schema.registry import Verdict
from fairlead.schema.rollout_state import Action, RolloutDecision, RolloutState
from tests.serverkit.outcomes import FALSE_POSITIVES, HOUR, LABELS, World, live, outcome_rollout, ramped, seen_by, until
from tests.serverkit.rollouts import START, alike, at

LATE = START + 1_000 * HOUR
SIX = {
    # Six units of one cohort, at a share of a half: units 0, 1, 2 are the challenger's.
    "challenger": [True, True, True, False, False, False],
    "decision": [1, 1, 0, 1, 1, 0],
}


def six(**changes: Any) -> Exposed:
    fields: dict[str, Any] = {**SIX, "at_us": [START + 1_000 * n for n in range(6)], "allocation": [1] * 6} | changes
    ids = np.array([[7, n] for n in range(6)], dtype=np.uint64)
    arrays: dict[str, Any] = {name: np.array(value) for name, value in fields.items()}
    return Exposed(ids=ids, seen=np.arange(6, dtype=np.uint64), **arrays)


def told(*outcomes: tuple[int, Any], **fields: Any) -> Told:
    """Of (unit, label), in the order of arrival; one hour after the start unless `reported_us` says otherwise."""
    records = [
        OutcomeRecord(
            **{
                "id": number,
                "endpoint": "fraud",
                "prediction_id": f"00000000-0000-0007-0000-{unit:012d}",
                "source": "default",
                "revision": 1,
                "label": label,
                "reported_us": START + HOUR,
                "received_us": START + HOUR,
                "received_by": "me",
                **fields,
            }
        )
        for number, (unit, label) in enumerate(outcomes, start=1)
    ]
    return Told().added(records, [False, True])


def guardrail(**changes: Any) -> Guardrail:
    labels = {**LABELS, **changes.pop("labels", {})}
    return Guardrail.model_validate({**FALSE_POSITIVES, **changes, "labels": labels})


def counted(one: Guardrail, outcomes: Told, units: Exposed | None = None, now: int = LATE) -> OutcomeCounts:
    exposed = six() if units is None else units
    state = ramped(outcome_rollout(), (0.5,))
    return counts_of(one, state, (exposed, outcomes, outcomes.units(exposed)), now)


def events(found: OutcomeCounts) -> list[tuple[float, int, int]]:
    """(odds of the challenger's share, events, the challenger's)."""
    return [(round(float(np.exp(row.step * ODDS_STEP)), 1), row.events, row.challenger) for row in found.events]


@pytest.mark.parametrize(
    ("metric", "bad"),
    [
        ("false_positives", ([0], [3])),
        ("false_negatives", ([2], [])),
        ("errors", ([0, 2], [3])),
        ("false_discovery", ([0], [3])),
    ],
)
def test_each_metric_counts_what_it_says(metric: str, bad: tuple[list[int], list[int]]) -> None:
    everything = told((0, False), (1, True), (2, True), (3, False), (4, True), (5, False))
    found = counted(guardrail(metric=metric), everything)
    assert (found.challenger.bad, found.champion.bad) == tuple(map(len, bad))
    flagged = metric == "false_discovery"
    assert (found.challenger.units, found.champion.units) == ((2, 2) if flagged else (3, 3))
    assert found.challenger.labelled == (2 if flagged else 3)


def test_the_other_label_may_be_the_positive_one() -> None:
    found = counted(guardrail(positive=False), told((2, True), (0, False)))
    assert (found.challenger.bad, found.challenger.labelled) == (1, 2)


def test_a_bad_outcome_is_compared_with_those_of_whom_none_was_known_before() -> None:
    # 0 is bad among 3 and 3; of 1 something good is known, which takes nobody out: 3 is bad among 2 and 3.
    found = counted(guardrail(), told((0, False), (1, True), (3, False)))
    assert events(found) == [(0.7, 1, 0), (1.0, 1, 1)]


def test_in_mature_cohorts_each_cohort_is_one_row() -> None:
    mature = guardrail(labels={"method": "mature", "matureAfter": "10h"})
    outcomes = told((0, False), (1, True), (3, False))
    assert events(counted(mature, outcomes)) == [(1.0, 2, 1)]
    assert events(counted(mature, outcomes, now=START + 9 * HOUR)) == []


def test_outcomes_may_come_twice_and_early_and_for_nobody() -> None:
    once = counted(guardrail(), told((0, False), (3, False)))
    assert counted(guardrail(), told((0, False), (0, False), (3, False), (99, False))) == once.model_copy(
        update={"events": once.events}
    )
    early = told((0, False), (3, False))
    assert early.units(Exposed()).tolist() == [-1, -1]
    assert early.units(six()).tolist() == [0, 3]


def test_a_correction_counts_and_not_what_it_corrects() -> None:
    assert counted(guardrail(), told((0, False), (0, True))).challenger.bad == 0
    found = counted(guardrail(), told((0, True), (3, False), (0, False)))
    # It counts with its last word: 3 among 3 and 3, then 0 among 3 and 2.
    assert events(found) == [(1.0, 1, 0), (1.5, 1, 1)]


def test_only_the_source_that_is_asked_for_counts() -> None:
    analysts = guardrail(labels={"source": "analysts"})
    assert counted(analysts, told((0, False))).challenger.bad == 0
    assert counted(analysts, told((0, False), source="analysts")).challenger.bad == 1


def test_what_becomes_known_after_its_window_is_not_counted() -> None:
    windowed = guardrail(labels={"matureAfter": "10h"})
    assert counted(windowed, told((0, False), reported_us=START + 10 * HOUR)).challenger.bad == 1
    assert counted(windowed, told((0, False), reported_us=START + 11 * HOUR)).challenger.labelled == 0


def test_silence_may_mean_a_label_once_the_window_has_closed() -> None:
    silent = guardrail(labels={"matureAfter": "10h", "absent": False})
    outcomes = told((0, True))
    assert counted(silent, outcomes, now=START + 9 * HOUR).challenger.bad == 0
    found = counted(silent, outcomes)
    assert (found.challenger.bad, found.champion.bad, found.champion.labelled) == (1, 2, 3)


def test_a_cohort_is_compared_when_it_is_complete_and_only_with_itself() -> None:
    wide = guardrail(labels={"cohort": "2h"})
    assert counted(wide, told((0, False)), now=START + HOUR).challenger.units == 0
    assert counted(wide, told((0, False))).challenger.units == 3
    # The champion's units came a day later: nobody to compare with.
    apart = six(at_us=[START + n * 24 * HOUR for n in (0, 0, 0, 1, 1, 1)])
    assert events(counted(wide, told((0, False), (3, False)), apart)) == []
    # So did they where shares were changed in between.
    assert events(counted(wide, told((0, False), (3, False)), six(allocation=[1, 1, 1, 0, 0, 0]))) == []


def test_a_decision_that_is_none_of_the_labels_is_not_compared() -> None:
    assert counted(guardrail(), told((0, False)), six(decision=[-1, 1, 0, 1, 1, 0])).challenger.units == 2


def test_ids_must_agree_as_a_whole() -> None:
    [[first, last]] = ids_of([bytes(range(16))]).tolist()
    assert (first, last) == (0x0001020304050607, 0x08090A0B0C0D0E0F)
    other = replace(six(), ids=six().ids + np.array([1, 0], dtype=np.uint64))
    assert told((0, False)).units(other).tolist() == [-1]


def test_rows_are_few_and_rounded_to_the_safe_side() -> None:
    rng = np.random.default_rng(3)
    exposed, outcomes, _ = live(rng, World(units=20_000, shares=(0.05, 0.25, 0.5)))
    document = outcome_rollout()
    state = ramped(document, (0.05, 0.25, 0.5))
    [one] = document.spec.guardrails
    found = counts_of(one, state, (exposed, outcomes, outcomes.units(exposed)), LATE)
    assert 5_500 < sum(row.events for row in found.events) == found.champion.bad + found.challenger.bad
    assert len(found.events) < 400
    shown = outcomes_shown(one, found)
    middle = [
        Epoch(1 / (1 + np.exp(-(row.step + 0.5) * ODDS_STEP)), row.challenger, row.events) for row in found.events
    ]
    assert shown.harm is not None
    assert shown.safe is not None
    assert shown.harm < RatioTest(Side.HARM, 1.0).log_e_of(middle)
    assert shown.safe < RatioTest(Side.SAFE, 1.5).log_e_of(middle)


ROLLOUTS = 80
LOOKS = [START + hours * HOUR for hours in range(12, 120, 12)]


def crossed(one: Guardrail, state: RolloutState, world: World, seed: int) -> tuple[bool, bool]:
    """Whether harm, or safety, is shown at any look at level 5 %."""
    exposed, outcomes, received = live(np.random.default_rng(seed), world)
    harm = safe = False
    for now in LOOKS:
        units, known = seen_by(exposed, now), until(outcomes, received, now)
        shown = outcomes_shown(one, counts_of(one, state, (units, known, known.units(units)), now))
        harm |= (shown.harm or 0.0) >= np.log(20)
        safe |= (shown.safe or 0.0) >= np.log(20)
    return harm, safe


@pytest.mark.parametrize("labels", [{}, {"method": "mature", "matureAfter": "40h"}, {"cohort": "1h"}])
@pytest.mark.parametrize("metric", ["false_positives", "false_discovery"])
def test_the_champion_against_itself_is_rarely_an_alarm(metric: str, labels: dict[str, Any]) -> None:
    document = outcome_rollout(metric=metric, labels=labels)
    state = ramped(document, (0.05, 0.25, 0.5))
    [one] = document.spec.guardrails
    world = World(units=800, shares=(0.05, 0.25, 0.5), rate=0.15, labelled=0.8)
    alarms = [crossed(one, state, world, seed)[0] for seed in range(ROLLOUTS)]
    assert np.mean(alarms) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / ROLLOUTS)


def test_good_outcomes_that_are_known_sooner_are_no_harm() -> None:
    """A challenger that flags other units has other cases closed early."""
    document = outcome_rollout()
    state = ramped(document, (0.5,))
    [one] = document.spec.guardrails
    alarms = [crossed(one, state, World(units=3_000, quicker=0.1), seed)[0] for seed in range(40)]
    assert np.mean(alarms) <= 0.1


def test_at_the_margin_nothing_is_called_safe_more_often_than_promised() -> None:
    document = outcome_rollout()
    state = ramped(document, (0.25, 0.5))
    [one] = document.spec.guardrails
    world = World(units=2_000, shares=(0.25, 0.5), rate=0.05, ratio=1.5)
    called = [crossed(one, state, world, seed)[1] for seed in range(ROLLOUTS)]
    assert np.mean(called) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / ROLLOUTS)


@pytest.mark.parametrize("labels", [{}, {"method": "mature", "matureAfter": "30h"}])
def test_a_regression_is_found_and_a_good_challenger_is_shown_safe(labels: dict[str, Any]) -> None:
    document = outcome_rollout(labels=labels)
    state = ramped(document, (0.25, 0.5))
    [one] = document.spec.guardrails
    for seed in range(5):
        assert crossed(one, state, World(shares=(0.25, 0.5), ratio=2.0), seed) == (True, False)
        assert crossed(one, state, World(shares=(0.25, 0.5), rate=0.2), seed) == (False, True)


def of_any_age(exposed: Exposed, outcomes: Told) -> float:
    """Evidence of harm if each bad outcome is compared with everybody exposed and without one, however long ago."""
    unit = outcomes.units(exposed)
    bad = (exposed.decision[unit] == 1) & (outcomes.label == 0)
    came, whose = outcomes.received_us[bad], exposed.challenger[unit[bad]]
    at_risk = [
        np.searchsorted(np.sort(exposed.at_us[exposed.challenger == arm]), came)
        - np.concatenate([[0], np.cumsum(whose == arm)[:-1]])
        for arm in (True, False)
    ]
    both = (at_risk[0] > 0) & (at_risk[1] > 0)
    share = at_risk[0][both] / (at_risk[0] + at_risk[1])[both]
    return float(RatioTest(Side.HARM, 1.0).log_e(share, whose[both], np.ones(int(both.sum()))))


def test_a_ramp_is_no_alarm_though_comparing_units_of_any_age_would_be_one() -> None:
    """The challenger's units are younger, and bad outcomes come early in a unit's life."""
    document = outcome_rollout()
    state = ramped(document, (0.05, 0.25, 0.5))
    [one] = document.spec.guardrails
    world = World(units=3_000, shares=(0.05, 0.25, 0.5), delay_hours=5.0)
    exposed, outcomes, received = live(np.random.default_rng(11), world)
    now = START + 72 * HOUR
    units, known = seen_by(exposed, now), until(outcomes, received, now)
    found = counts_of(one, state, (units, known, known.units(units)), now)
    assert (outcomes_shown(one, found).harm or 0.0) < np.log(20)
    assert of_any_age(units, known) > np.log(20)


COST: dict[str, Any] = {
    "metric": "cost",
    "costs": {"falsePositive": 1, "falseNegative": 5},
    "margin": {"abs": 0.3},
    "labels": {"matureAfter": "30h"},
}


def test_a_cost_is_compared_by_its_mean() -> None:
    document = outcome_rollout(**COST)
    state = ramped(document, (0.25, 0.5))
    [one] = document.spec.guardrails
    assert crossed(one, state, World(shares=(0.25, 0.5), rate=0.05, ratio=8.0), 1) == (True, False)
    assert crossed(one, state, World(units=20_000, shares=(0.25, 0.5)), 1) == (False, True)
    alarms = [crossed(one, state, World(units=1_000, shares=(0.25, 0.5)), seed)[0] for seed in range(60)]
    assert np.mean(alarms) <= 0.05


# ------------------------------------------------------------------ what the engine makes of it


def judged(ratio: float, problem: str | None = None, **guardrail: Any) -> tuple[RolloutState, RolloutDecision, Any]:
    steps = {"setWeight": 50}, {"analysis": {"until": {"proven": ["fp"]}}}
    document = outcome_rollout(*steps, **guardrail)
    state = ramped(document, (0.5,))
    state = state.model_copy(update={"step": 1})
    exposed, outcomes, _ = live(np.random.default_rng(5), World(units=8_000, ratio=ratio))
    [one] = document.spec.guardrails
    found = counts_of(one, state, (exposed, outcomes, outcomes.units(exposed)), LATE)
    evidence = alike(state, 16_000).model_copy(
        update={"outcomes": OutcomeEvidence(as_of_us=LATE, problem=problem, guardrails=[found])}
    )
    after, decision = decide(document, state, evidence, at(60))
    return after, decision, (document, state)


def test_harm_in_outcomes_rolls_back_or_holds() -> None:
    assert judged(2.0)[1].action is Action.ROLLBACK
    assert judged(2.0)[1].reason == "harm is shown: fp"
    assert judged(2.0, action="hold")[1].action is Action.HOLD


def test_outcomes_that_are_shown_safe_advance() -> None:
    assert judged(1.0)[1].reason == "step 1: the analysis has passed"


@pytest.mark.parametrize("problem", ["the prediction log cannot be read: no prediction log at x"])
def test_a_log_that_cannot_be_read_is_no_health(problem: str) -> None:
    before, decision, _ = judged(1.0, problem)
    assert (decision.action, decision.verdict, decision.reason) == (Action.HOLD, Verdict.ERROR, problem)
    assert before.step == 1
    # What was shown before it broke still protects.
    assert judged(2.0, problem)[1].action is Action.ROLLBACK


def test_a_decision_on_outcomes_follows_from_its_record_alone() -> None:
    for ratio in (1.0, 2.0):
        _, decision, (document, state) = judged(ratio)
        kept = RolloutDecision.model_validate_json(decision.canonical_json())
        assert len(decision.canonical_json()) < 20_000
        assert replay(document, state, kept) == kept == decision
