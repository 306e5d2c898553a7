"""A rollout's document: what is accepted, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from fairlead.schema.declared import duration_text, seconds_of
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
