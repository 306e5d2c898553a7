"""Guardrails by slices: whom a challenger harms, where all together show nothing."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
import pytest

from fairlead.rollout.engine import decide
from fairlead.rollout.evidence.ramp import RatioTest, Side
from fairlead.schema.registry import Verdict
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import (
    Action,
    Assessment,
    EpochEvidence,
    Evidence,
    RolloutState,
    SliceArm,
    SliceEvidence,
)
from tests.serverkit.rollouts import arm, at, begun, counted, evidence, rollout

BY = {"name": "by", "kind": "rate", "by": "country", "margin": {"ratio": 2}, "alpha": 0.05}
HALF: dict[str, Any] = {"setWeight": 50}
Counts = tuple[int, int]
"""Units, and units with an error."""


def slice_of(value: Any, champion: Counts, challenger: Counts, **fields: Any) -> SliceEvidence:
    arms = [
        SliceArm(units=units, errors=errors, decisions=[units - errors, errors])
        for units, errors in (champion, challenger)
    ]
    return SliceEvidence(**{"column": "country", "value": value, "champion": arms[0], "challenger": arms[1], **fields})


def whole(epoch: int, slices: Sequence[SliceEvidence], **fields: Any) -> EpochEvidence:
    """An epoch whose arms are the sums of its slices."""
    sums = [
        arm(sum(one.units for one in arms), sum(one.errors for one in arms))
        for arms in ([one.champion for one in slices], [one.challenger for one in slices])
    ]
    return counted(epoch, *sums, slices=list(slices), **fields)


def started(*steps: dict[str, Any], **spec: Any) -> tuple[Rollout, RolloutState]:
    document = rollout(*(steps or (HALF, {"pause": {}})), **({"guardrails": [BY]} | spec))
    state, _ = decide(document, begun(document), evidence(), at(1))
    return document, state


def looked(document: Rollout, state: RolloutState, found: Evidence) -> tuple[Action, Assessment]:
    _, decision = decide(document, state, found, at(2))
    assert decision.assessments is not None
    return decision.action, decision.assessments.guardrails[0]


def twenty(harmed: int | None = None, ratio: int = 3) -> list[SliceEvidence]:
    """Slices of 2,000 units in either arm, 40 of them with an error; in one of them the challenger has more."""
    return [slice_of(f"C{i}", (2_000, 40), (2_000, 40 * (ratio if i == harmed else 1))) for i in range(20)]


def test_a_harmed_slice_is_found_and_named_where_all_together_show_nothing() -> None:
    pooled = {"name": "all", "kind": "rate", "alpha": 0.05}
    document, state = started(guardrails=[pooled])
    assert looked(document, state, evidence(whole(2, twenty(7))))[0] is Action.NONE
    document, state = started()
    assert looked(document, state, evidence(whole(2, twenty())))[0] is Action.NONE
    action, found = looked(document, state, evidence(whole(2, twenty(7))))
    assert action is Action.ROLLBACK
    assert [one.value for one in found.slices if one.harmful] == ["C7"]
    assert found.slices[0].value == "C7"
    assert found.slices[0].ratio == pytest.approx(3)
    assert found.slices_possible == 34
    _, decision = decide(document, state, evidence(whole(2, twenty(7))), at(2))
    assert decision.verdict is Verdict.FAIL
    assert decision.reason == "harm is shown: by (country=C7)"


def test_evidence_is_by_epoch_and_over_all_slices_that_there_can_be() -> None:
    document, state = started({"setWeight": 10}, HALF, {"pause": {}})
    state, _ = decide(document, state, evidence(counted(2, arm(90), arm(10))), at(2))
    ramp = [
        whole(2, [slice_of("SE", (9_000, 900), (1_000, 100)), slice_of("NO", (90, 9), (10, 1))]),
        whole(3, [slice_of("SE", (500, 50), (500, 50)), slice_of(None, (5, 1), (5, 2))]),
    ]
    _, found = looked(document, state, evidence(*ramp))
    by_value = {one.value: one for one in found.slices}
    assert by_value["SE"].ratio == pytest.approx(1.0), "pooled it would be 1.5"
    assert by_value["NO"].units == 100
    expected = RatioTest(Side.HARM, 1.0).log_e([0.1, 0.5], [100, 50], [1_000, 100])
    assert by_value["SE"].harm_log_e == pytest.approx(float(expected))
    assert found.harm_log_e is not None
    assert found.harm_log_e <= 0.1
    assert (found.champion, found.challenger) == (960, 153)


def test_the_others_and_the_missing_are_slices_and_no_values() -> None:
    document, state = started()
    slices = [
        slice_of("other", (900, 9), (900, 9)),
        slice_of(None, (900, 9), (900, 90), other=True),
        slice_of(None, (900, 9), (900, 9)),
    ]
    action, found = looked(document, state, evidence(whole(2, slices)))
    assert action is Action.ROLLBACK
    assert [(one.value, one.other) for one in found.slices if one.harmful] == [(None, True)]


def test_true_is_not_one() -> None:
    document, state = started(guardrails=[{**BY, "by": "member"}])
    slices = [slice_of(value, (900, 9), (900, 9), column="member") for value in (True, 1)]
    _, found = looked(document, state, evidence(whole(2, slices)))
    assert sorted(str(one.value) for one in found.slices) == ["1", "True"]


def test_safe_is_every_slice_with_units_enough_and_the_small_ones_are_named() -> None:
    proven = {"analysis": {"until": {"proven": ["by"]}}}
    document, state = started(HALF, proven, guardrails=[{**BY, "minSliceUnits": 200}])
    good = slice_of("SE", (40_000, 800), (40_000, 800))
    small = slice_of("NO", (99, 2), (100, 2))
    action, found = looked(document, state, evidence(whole(2, [good, small])))
    assert (action, found.safe) == (Action.ADVANCE, True)
    by_value = {one.value: (one.small, one.safe) for one in found.slices}
    assert by_value == {"SE": (False, True), "NO": (True, False)}
    enough = slice_of("NO", (100, 2), (100, 2))
    action, found = looked(document, state, evidence(whole(2, [good, enough])))
    assert (action, found.safe) == (Action.HOLD, False)
    action, found = looked(document, state, evidence(whole(2, [small])))
    assert (action, found.safe) == (Action.HOLD, False), "nothing can be judged: nothing is shown"
    assert looked(document, state, evidence(counted(2, arm(100), arm(100))))[1].safe is False


def test_several_columns_share_the_level() -> None:
    document, state = started(guardrails=[{**BY, "by": ["country", "member"]}])
    _, found = looked(document, state, evidence(whole(2, twenty(7))))
    assert found.slices_possible == 34 + 3
    document, state = started(guardrails=[{**BY, "by": "size"}])
    _, found = looked(document, state, evidence(whole(2, twenty(7))))
    assert (found.slices_possible, found.slices) == (4, []), "another column's slices are not its own"


def test_units_that_several_replicas_saw_are_one_unit_each() -> None:
    document, state = started()
    once = evidence(whole(2, twenty(7, ratio=2)))
    doubled = [slice_of(f"C{i}", (4_000, 80), (4_000, 80 * (2 if i == 7 else 1))) for i in range(20)]
    found = [looked(document, state, one)[1].harm_log_e for one in (once, evidence(whole(2, doubled, duplication=2.0)))]
    assert found[0] == pytest.approx(found[1])


@pytest.mark.parametrize("direction", ["decrease", "either"])
def test_decisions_are_watched_by_slice_too(direction: str) -> None:
    fewer = {"name": "by", "kind": "decision_rate", "metric": True, "direction": direction, "by": "country"}
    document, state = started(guardrails=[fewer])
    slices = [slice_of("SE", (2_000, 300), (2_000, 300)), slice_of("NO", (2_000, 300), (2_000, 150))]
    action, found = looked(document, state, evidence(whole(2, slices)))
    assert action is Action.ROLLBACK
    assert [one.value for one in found.slices if one.harmful] == ["NO"]


def test_a_matched_control_is_compared_at_a_half() -> None:
    """At 5 % with as many controls: the same counts mean another thing where all of the champion's are compared."""
    for control, share in (("all", 0.05), ("matched", 0.5)):
        document, state = started({"setWeight": 5}, {"pause": {}}, control=control)
        slices = [slice_of("SE", (1_000, 40), (1_000, 40))]
        _, decision = decide(document, state, evidence(whole(2, slices)), at(2))
        assert decision.assessments is not None
        [found] = decision.assessments.guardrails[0].slices
        expected = float(RatioTest(Side.HARM, 1.0).log_e([share], [40], [80]))
        assert found.harm_log_e == pytest.approx(expected)
        assert decision.assessments.split_refuted == (control == "all")
        assert found.ratio == pytest.approx((1 - share) / share)


def test_above_a_half_the_matched_control_is_all_of_the_champions() -> None:
    document, state = started({"setWeight": 75}, {"pause": {}}, control="matched")
    slices = [slice_of("SE", (1_000, 40), (3_000, 120))]
    _, decision = decide(document, state, evidence(whole(2, slices)), at(2))
    assert decision.assessments is not None
    assert not decision.assessments.split_refuted
    assert decision.assessments.guardrails[0].slices[0].ratio == pytest.approx(1.0)


def test_a_level_is_crossed_where_a_slice_is_named() -> None:
    document, state = started()
    for ratio in np.linspace(1, 3, 41):
        slices = [slice_of("SE", (2_000, 100), (2_000, round(100 * ratio))), slice_of("NO", (2_000, 100), (2_000, 130))]
        _, found = looked(document, state, evidence(whole(2, slices)))
        assert found.harm_log_e is not None
        assert found.harmful == (found.harm_log_e >= -log(0.05)) == any(one.harmful for one in found.slices)
