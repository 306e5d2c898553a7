"""Recorded decisions are told as they were made."""

from __future__ import annotations

from math import log
from typing import Any

import pytest

from fairlead.demo.moves import read_move, rolled_back, stage_of, words_of
from fairlead.demo.options import FAST
from fairlead.demo.plans import canary

STEPS = canary("c", "fraud", "0" * 64, FAST, 1)["spec"]["strategy"]["canary"]["steps"]
STARTED = 1_000_000


def event(kind: str = "rollout.advanced", share: float = 0.05, **decision: Any) -> dict[str, Any]:
    epochs = [
        {"challenger": {"requests": requests}, "pairs": pairs, "flips": [[0, 0, 90], [0, 1, 3], [1, 0, 2]][:flips]}
        for requests, pairs, flips in ((0, 95, 3), (30, 0, 0), (12, 0, 0))
    ]
    made = {
        "step": 6,
        "reason": "the analysis has passed",
        "evidence": {"epochs": epochs, "challenger_units": 40, "known_units": 1_234},
        "assessments": {"guardrails": [guardrail("errors", 2.0, safe=False), guardrail("p95", -3.0, safe=True)]},
    }
    before = {"routing": {"share": share}}
    return {"kind": kind, "at_us": 3_500_000, "evidence": {"decision": made | decision, "before": before}}


def guardrail(name: str, harm: float, *, safe: bool) -> dict[str, Any]:
    return {
        "name": name,
        "harm_log_e": harm,
        "alpha_harm": 0.0125,
        "safe": safe,
        "harmful": harm > -log(0.0125),
        "champion": 10,
        "challenger": 2,
    }


def test_a_move_has_what_was_counted_over_all_epochs() -> None:
    move = read_move(event(), STARTED)
    assert (move.seconds, move.share, move.requests, move.units) == (2.5, 0.05, 42, 40)
    assert (move.pairs, move.flips) == (95, 5)


def test_a_decision_without_evidence_is_read_too() -> None:
    move = read_move(event(evidence=None, assessments=None), STARTED)
    assert (move.requests, move.units, move.guardrails) == (0, 0, ())
    assert "no guardrails" in words_of("5 %", move)


@pytest.mark.parametrize(
    ("step", "stage"),
    [(0, None), (1, "shadow 100 %"), (2, None), (3, None), (4, "250 units"), (6, "5 %"), (8, "25 %"), (9, None)],
)
def test_a_stage_is_what_was_set_before_the_wait(step: int, stage: str | None) -> None:
    assert stage_of(STEPS, step) == stage


def test_words_have_units_requests_and_the_evidence_nearest_to_harm() -> None:
    words = words_of("5 %", read_move(event(), STARTED))
    assert "40 of 1,234 units (5.0%), 42 requests" in words
    assert "harm at most 7.4 of 80 (errors); shown safe: p95" in words
    shadow = words_of("shadow 100 %", read_move(event(share=0.0), STARTED))
    assert "1,234 units seen; 95 answers compared, 5 other decisions" in shadow


def test_a_roll_back_names_the_guardrails_or_else_its_reason() -> None:
    harmful = {"guardrails": [guardrail("errors", 30.0, safe=False), guardrail("p95", 1.0, safe=False)]}
    words = rolled_back(read_move(event("rollout.rolled_back", assessments=harmful), STARTED))
    assert words.endswith("after 42 requests of about 40 units to it, by errors: evidence 1e13 of 80")
    assert rolled_back(read_move(event(reason="timed out"), STARTED)).endswith("by timed out")
