"""What a plan says of guardrails on outcomes: the wait for labels is part of it."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.rollout.foresight import Known, planned, ramp_of, remarks
from tests.serverkit.outcomes import outcome_rollout

KNOWN = Known(base_rate=0.01, units_per_hour=2_000.0)


def hours(**changes: Any) -> float:
    document = outcome_rollout(**changes)
    [guardrail] = document.spec.guardrails
    found = planned(document, guardrail, KNOWN, ramp_of(document, KNOWN))
    assert found is not None
    return float(found.safe["hours"])


@pytest.mark.parametrize(
    ("labels", "wait"),
    [
        ({"delay": "0s"}, 1 / 3_600),
        ({"delay": "10h"}, 10.5),
        ({"delay": "30d"}, 31 * 24),
        ({"delay": "30d", "cohort": "2h"}, 30 * 24 + 2),
        ({"delay": "30d", "method": "mature", "matureAfter": "35d"}, 36 * 24),
    ],
)
def test_hours_include_the_wait_for_labels(labels: dict[str, Any], wait: float) -> None:
    alone = hours(labels={"delay": "0s"}) - 1 / 3_600
    assert hours(labels=labels) == pytest.approx(alone + wait)


def test_what_telemetry_counts_is_no_base_rate_of_outcomes() -> None:
    document = outcome_rollout()
    [guardrail] = document.spec.guardrails
    counted = Known(champion_units=10_000, errors=100)
    assert planned(document, guardrail, counted, ramp_of(document, counted)) is None
    assert "fp: no base rate is known; give one" in remarks(document, counted, ramp_of(document, counted))


def test_what_the_units_are_and_what_is_not_planned_is_said() -> None:
    among = outcome_rollout(metric="false_discovery")
    assert any("decided positive" in one for one in remarks(among, KNOWN, ramp_of(among, KNOWN)))
    cost = outcome_rollout(metric="cost", margin={"abs": 1}, costs={"falsePositive": 1}, labels={"matureAfter": "20h"})
    assert "fp: what a cost takes is not planned" in remarks(cost, KNOWN, ramp_of(cost, KNOWN))
