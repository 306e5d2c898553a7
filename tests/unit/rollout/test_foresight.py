"""What a rollout can find out, told before it starts."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.rollout.foresight import Known, planned, ramp_of, remarks
from fairlead.schema.rollout_state import PlannedGuardrail
from tests.serverkit.rollouts import ERRORS, rollout

KNOWN = Known(base_rate=0.01, units_per_hour=1_000, slice_sizes={"country": 34, "member": 3})


def plan_of(weight: float = 50, known: Known = KNOWN, **spec: Any) -> PlannedGuardrail:
    document = rollout({"setWeight": weight}, {"pause": {}}, **({"guardrails": [ERRORS]} | spec))
    found = planned(document, document.spec.guardrails[0], known, ramp_of(document, known))
    assert found is not None
    return found


def units(found: PlannedGuardrail) -> list[int]:
    return [need["units"] for need in found.harm]


def test_a_slice_needs_more_units_and_its_traffic_is_not_known() -> None:
    pooled = plan_of()
    by_slice = plan_of(guardrails=[{**ERRORS, "by": "country"}])
    few = plan_of(guardrails=[{**ERRORS, "by": "member"}])
    assert all(a < b < c for a, b, c in zip(units(pooled), units(few), units(by_slice), strict=True))
    assert by_slice.safe["units"] == pooled.safe["units"], "safety is not corrected"
    assert {need["hours"] for need in by_slice.harm} == {None}
    document = rollout({"setWeight": 50}, guardrails=[{**ERRORS, "by": ["country", "member"]}])
    [remark] = [one for one in remarks(document, KNOWN, ramp_of(document, KNOWN)) if one.startswith("errors:")]
    assert "one slice by country, member, of 37" in remark


def test_a_matched_control_needs_more_of_the_challengers_units_in_its_own_time() -> None:
    everybody, matched = plan_of(5), plan_of(5, control="matched")
    assert (everybody.share, matched.share) == (0.05, 0.5)
    assert all(a < b for a, b in zip(units(everybody), units(matched), strict=True))
    first = matched.harm[0]
    assert first["hours"] == pytest.approx(first["units"] / 50, rel=0.02)
    assert units(plan_of(60)) == units(plan_of(60, control="matched"))
