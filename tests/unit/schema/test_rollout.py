"""A rollout's document: what is accepted, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from fairlead.schema.declared import duration_text, seconds_of
from fairlead.schema.guardrail import Guardrail
from fairlead.schema.rollout import Rollout, Step
from tests.serverkit.rollouts import ERRORS, PROVEN, rollout


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5_400), ("2d", 172_800), ("1.5h", 5_400)]
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds
    assert seconds_of(duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"strategy": {}}, "either `canary` or `blueGreen`"),
        ({"strategy": {"canary": {"steps": []}}}, "at least 1"),
        ({"strategy": {"canary": {"steps": [{"setWeight": 5, "pause": {}}]}}}, "exactly one of setWeight"),
        ({"strategy": {"canary": {"steps": [{}]}}}, "exactly one"),
        ({"strategy": {"canary": {"steps": [{"setWeight": 101}]}}}, "less than or equal to 100"),
        ({"strategy": {"canary": {"steps": [{"pause": {"duration": "soon"}}]}}}, "no duration"),
        ({"strategy": {"canary": {"steps": [{"setweight": 5}]}}}, "Extra inputs"),
        ({"strategy": {"canary": {"steps": [{"approve": {"roles": ["replica"]}}]}}}, "approves nothing"),
        ({"challenger": {}}, "either `version` or `bundle`"),
        ({"guardrails": [ERRORS, ERRORS]}, "unique"),
        ({"guardrails": [{**ERRORS, "margin": {}}]}, "either `ratio` or `abs`"),
        ({"guardrails": [{**ERRORS, "margin": {"abs": 1}}]}, "has a margin `ratio`"),
        ({"guardrails": [{**ERRORS, "q": 0.5}]}, "`q` belongs to quantile"),
        ({"guardrails": [{"name": "errors", "kind": "quantile"}]}, "`q` belongs to quantile"),
        ({"guardrails": [{"name": "errors", "kind": "decision_rate"}]}, "`metric` is the label"),
        ({"guardrails": [{**ERRORS, "metric": "sums"}]}, "the metric of rate is 'errors'"),
        ({"guardrails": [{**ERRORS, "alpha": 0.2}]}, "together"),
        ({"guardrails": [{**ERRORS, "alpha": 0.05}, {"name": "v", "kind": "violations"}]}, "together"),
        ({"guardrails": [{"name": "errors", "kind": "rate"}]}, "cannot be proven"),
        ({"guardrails": []}, "no guardrail 'errors'"),
    ],
)
def test_what_does_not_hold_together_is_refused_with_reasons(spec: Any, words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words):
        rollout(PROVEN, **spec)


OUTCOME: dict[str, Any] = {
    "name": "errors",
    "kind": "outcome",
    "metric": "false_positives",
    "margin": {"ratio": 1.5},
    "labels": {"delay": "30d", "matureAfter": "35d"},
}


@pytest.mark.parametrize(
    ("guardrail", "words"),
    [
        ({"metric": "precision"}, "the metric of an outcome is one of"),
        ({"metric": None}, "the metric of an outcome is one of"),
        ({"labels": None}, "an outcome has `labels`"),
        ({"labels": {"delay": "30d", "matureAfter": "1d"}}, "`matureAfter` must be above 0 and not below `delay`"),
        ({"labels": {"delay": "30d", "method": "mature"}}, "need `matureAfter`"),
        ({"labels": {"delay": "30d", "absent": 0}}, "need `matureAfter`"),
        ({"labels": {"delay": "soon"}}, "no duration"),
        ({"labels": {"matureAfter": "30d"}}, "delay"),
        ({"labels": {"delay": "1d", "cohort": "0s"}}, "greater than 0"),
        ({"direction": "decrease"}, "worse when it increases"),
        ({"margin": {"abs": 1}}, "has a margin `ratio`"),
        ({"q": 0.5}, "`q` belongs to quantile"),
        ({"costs": {"falsePositive": 1}}, "`costs` belong to the metric cost"),
        ({"metric": "cost"}, "`costs` belong to the metric cost"),
        ({"metric": "cost", "costs": {"falsePositive": 1}}, "a cost has a margin `abs`"),
        ({"metric": "cost", "costs": {}, "margin": {"abs": 1}}, "at least two of them must differ"),
        (
            {"metric": "cost", "costs": {"falsePositive": 1}, "margin": {"abs": 1}, "labels": {"delay": "1d"}},
            "needs `matureAfter`",
        ),
        ({"kind": "rate", "metric": "errors"}, "belong to outcome"),
    ],
)
def test_a_guardrail_on_outcomes_holds_together(guardrail: dict[str, Any], words: str) -> None:
    rollout(PROVEN, guardrails=[OUTCOME])
    with pytest.raises(pydantic.ValidationError, match=words):
        rollout(PROVEN, guardrails=[OUTCOME | guardrail])


def test_every_step_has_its_name() -> None:
    steps: list[dict[str, Any]] = [
        {"setWeight": 5},
        {"setCohort": {"maxUnits": 9}},
        {"setRegions": "*"},
        {"shadow": {"percent": 1}},
    ]
    steps += [{"pause": {}}, {"approve": {}}, PROVEN]
    for step in steps:
        parsed = Step.model_validate(step)
        assert parsed.kind == next(iter(step))
        assert set(parsed.model_dump()) == {parsed.kind}


def test_a_rollout_that_no_person_says_yes_to_is_known_as_such() -> None:
    assert rollout().spec.alone
    assert not rollout({"setWeight": 5}, {"approve": {}}).spec.alone
    assert rollout({"setWeight": 5}, {"approve": {"roles": ["operator"]}}).spec.alone
    assert not rollout(strategy={"blueGreen": {}}).spec.alone
    assert rollout(strategy={"blueGreen": {"autoPromotion": True}}).spec.alone


def test_version_and_kind_are_asked_for() -> None:
    document = rollout().model_dump(mode="json")
    for name in ("apiVersion", "kind"):
        with pytest.raises(pydantic.ValidationError):
            Rollout.model_validate({key: value for key, value in document.items() if key != name})


def test_a_guardrail_by_slices_is_of_a_kind_that_is_counted_by_slice() -> None:
    one = Guardrail.model_validate({"name": "x", "kind": "rate", "by": "country"})
    assert (one.columns, one.min_slice_units) == (["country"], 100)
    two = Guardrail.model_validate({"name": "x", "kind": "violations", "by": ["country", "member"]})
    assert two.columns == ["country", "member"]
    for wrong, words in (
        ({"kind": "quantile", "q": 0.9, "by": "country"}, "`by` belongs to rate, violations, decision_rate"),
        ({"kind": "rate", "by": ["a", "a"]}, "must be unique"),
        ({"kind": "rate", "by": []}, "at least 1"),
        ({"kind": "rate", "by": ""}, "at least 1"),
        ({"kind": "rate", "minSliceUnits": 0}, "greater than or equal to 1"),
    ):
        with pytest.raises(pydantic.ValidationError, match=words):
            Guardrail.model_validate({"name": "x", **wrong})


def test_a_rollout_has_at_most_eight_columns() -> None:
    guardrails = [{"name": f"g{i}", "kind": "rate", "by": [f"c{i}", f"d{i}", "shared"]} for i in range(4)]
    document = rollout({"setWeight": 5}, guardrails=guardrails[:3])
    assert document.spec.slice_columns == ["c0", "d0", "shared", "c1", "d1", "c2", "d2"]
    with pytest.raises(pydantic.ValidationError, match="name 9 columns in `by`; at most 8"):
        rollout({"setWeight": 5}, guardrails=guardrails)
