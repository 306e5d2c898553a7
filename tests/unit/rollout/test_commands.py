"""What people do to a rollout, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fairlead.errors import ControlError
from fairlead.rollout import commands
from fairlead.rollout.commands import Change
from fairlead.rollout.engine import decide
from fairlead.schema.control import KeyRole
from fairlead.schema.registry import Verdict
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import Action, Contender, Phase, RolloutState
from tests.serverkit.outcomes import outcome_rollout
from tests.serverkit.rollouts import ERRORS, alike, at, begun, by, facts, rollout

Command = Callable[[Rollout, RolloutState, commands.By], Change]


def refused(command: Command, document: Rollout, state: RolloutState, code: str = "rollout_refused") -> ControlError:
    with pytest.raises(ControlError) as caught:
        command(document, state, by(10))
    assert caught.value.code == code
    return caught.value


def phase(phase: Phase, document: Rollout | None = None) -> RolloutState:
    return begun(document or rollout()).model_copy(update={"phase": phase})


RUNNING = (Phase.PROGRESSING, Phase.PAUSED, Phase.HELD)
ENDED = (Phase.PROMOTED, Phase.ROLLED_BACK, Phase.UNDONE)


@pytest.mark.parametrize("before", Phase)
@pytest.mark.parametrize(
    ("command", "allowed", "after", "action"),
    [
        (commands.pause, {Phase.PROGRESSING}, Phase.PAUSED, Action.PAUSE),
        (commands.resume, {Phase.PAUSED, Phase.HELD}, Phase.PROGRESSING, Action.NONE),
        (commands.promote, set(RUNNING), Phase.PROMOTED, Action.PROMOTE),
        (commands.abort, set(RUNNING), Phase.ROLLED_BACK, Action.ROLLBACK),
        (commands.undo, {Phase.PROMOTED}, Phase.UNDONE, Action.ROLLBACK),
    ],
)
def test_what_is_possible_from_each_phase(
    before: Phase, command: Command, allowed: set[Phase], after: Phase, action: Action
) -> None:
    document, state = rollout(), phase(before)
    if before not in allowed:
        assert document.name in refused(command, document, state).message
        return
    state, decision = command(document, state, by(10, reason="because"))
    assert (state.phase, decision.action, decision.actor) == (after, action, "somebody")
    assert decision.reason.endswith("because")
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert after not in ENDED or state.routing is None or command is commands.undo


def test_an_approval_takes_its_role_and_counts_once() -> None:
    document = rollout({"approve": {"roles": ["approver"]}}, {"setWeight": 5})
    state = begun(document)
    with pytest.raises(ControlError, match="takes approver") as caught:
        commands.approve(document, state, by(role=KeyRole.OPERATOR))
    assert caught.value.code == "forbidden"
    state, _ = commands.approve(document, state, by(role=KeyRole.ADMIN))
    assert [one.actor for one in state.approvals] == ["somebody"]
    refused(commands.approve, document, state)


def test_only_the_step_in_force_is_approved() -> None:
    document = rollout({"setWeight": 5}, {"approve": {}})
    refused(commands.approve, document, begun(document))


def test_a_promotion_does_not_pass_an_approval() -> None:
    document = rollout({"setWeight": 5}, {"approve": {}})
    assert "step 1" in refused(commands.promote, document, begun(document)).message


def test_a_void_experiment_cannot_be_resumed() -> None:
    document = rollout()
    void = begun(document).model_copy(update={"phase": Phase.HELD, "void": True, "holding": "split"})
    assert "split" in refused(commands.resume, document, void).message


def test_a_preview_lasts_as_long_as_it_says() -> None:
    document = rollout(strategy={"blueGreen": {"previewSeconds": 60}})
    state = begun(document)
    refused(commands.promote, document, state)
    assert commands.promote(document, state, by(60))[0].phase is Phase.PROMOTED
    paused, _ = decide(document, state, alike(state), at(61))
    with pytest.raises(ControlError, match="preview is over") as caught:
        commands.resume(document, paused, by(62))
    assert caught.value.hint == "promote it, or abort it"


@pytest.mark.parametrize(
    ("spec", "known", "words"),
    [
        ({}, {"challenger": Contender(version="1", sha256="1" * 64)}, "is the champion"),
        (
            {"guardrails": [ERRORS, {"name": "x", "kind": "rate", "by": ["country", "city"]}]},
            {},
            r"spec.guardrails\[1\].by \(x\): expected a feature of the signature, got 'city'",
        ),
        (
            {"guardrails": [ERRORS, {"name": "x", "kind": "rate", "by": "amount"}]},
            {},
            r"spec.guardrails\[1\].by \(x\): .* 'amount' is a float",
        ),
        ({"unit": "customer"}, {}, "customer"),
        ({}, {"unit_key": None}, "no unit key"),
        ({"guardrails": [ERRORS, {"name": "x", "kind": "flips", "metric": 1}]}, {}, "is none of"),
        ({"guardrails": [ERRORS, {"name": "x", "kind": "decision_rate", "metric": "yes"}]}, {}, "is none of"),
    ],
)
def test_what_does_not_fit_the_endpoint_is_refused(spec: Any, known: Any, words: str) -> None:
    with pytest.raises(ControlError, match=words) as caught:
        commands.begin(rollout(**spec), facts(**known), at(0))
    assert caught.value.code == "rollout_refused"


@pytest.mark.parametrize(
    ("guardrail", "known", "words"),
    [
        ({}, {"unjoined": "nobody can read the log"}, "fp.*: nobody can read the log"),
        ({}, {"labels": []}, "decides no label"),
        ({}, {"labels": ["a", "b", "c"]}, "which of .* is the positive one"),
        ({"positive": "d"}, {"labels": ["a", "b", "c"]}, "positive 'd' is none of"),
        ({"labels": {"absent": 0, "matureAfter": "20h"}}, {}, "labels.absent 0 is none of"),
    ],
)
def test_outcomes_that_could_not_be_compared_are_refused(guardrail: Any, known: Any, words: str) -> None:
    with pytest.raises(ControlError, match=words) as caught:
        begun(outcome_rollout(**guardrail), **known)
    assert caught.value.code == "rollout_refused"


def test_outcomes_of_many_labels_are_compared_by_a_positive_one_or_as_errors() -> None:
    begun(outcome_rollout(positive="b"), labels=["a", "b", "c"])
    begun(outcome_rollout(metric="errors"), labels=["a", "b", "c"])
