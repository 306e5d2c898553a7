"""The planning table that the design was made with: simulated then (4,000 rollouts a figure), exact here."""

from __future__ import annotations

import pytest

from fairlead.rollout.evidence.crossing import boundary, stopped_by
from fairlead.rollout.evidence.planning import Question, plan
from fairlead.rollout.evidence.ramp import RatioTest, Side

SIMULATED = 0.05
"""Relative error allowed: 80 % power was read off 4,000 rollouts."""


@pytest.mark.parametrize(
    ("ratio", "events", "units"), [(1.5, 278, 11_120), (2.0, 98, 3_267), (3.0, 42, 1_050), (5.0, 24, 400)]
)
def test_units_until_harm_is_seen_at_a_base_rate_of_one_percent(ratio: float, events: int, units: int) -> None:
    need = {need.ratio: need for need in plan(Question(0.01)).harm}[ratio]
    assert need.events == pytest.approx(events, rel=SIMULATED)
    assert need.units == pytest.approx(units, rel=SIMULATED)


@pytest.mark.parametrize(
    ("margin", "events", "at_one_percent", "at_five_percent"),
    [(1.25, 1_062, 53_100, 10_620), (1.5, 283, 14_150, 2_830), (2.0, 97, 4_850, 970), (3.0, 37, 1_850, 370)],
)
def test_units_until_safety_is_shown(margin: float, events: int, at_one_percent: int, at_five_percent: int) -> None:
    for base_rate, units in ((0.01, at_one_percent), (0.05, at_five_percent)):
        need = plan(Question(base_rate, safe_margin=margin)).safe
        assert need.events == pytest.approx(events, rel=SIMULATED)
        assert need.units == pytest.approx(units, rel=SIMULATED)


def test_a_thousand_units_find_three_times_the_harm_and_certify_nothing_useful() -> None:
    found = plan(Question(0.01, cohort=1_000))
    assert found.detectable_ratio == pytest.approx(3.1, abs=0.1)
    assert found.safe_power is not None
    assert found.safe_power < 0.05


def test_all_of_the_champions_units_as_control_save_half_of_the_challengers() -> None:
    need = plan(Question(0.01, share=0.05)).harm[1]
    assert need.ratio == 2
    assert need.units == pytest.approx(1_738, rel=0.1)


@pytest.mark.parametrize(("side", "margin", "measured"), [(Side.HARM, 1.0, 0.034), (Side.SAFE, 1.25, 0.044)])
def test_wrong_decisions_at_the_boundary_after_two_thousand_events(side: Side, margin: float, measured: float) -> None:
    test = RatioTest(side, margin)
    wrong = stopped_by(test, 0.5, margin, boundary(test, 0.5, 0.05, 2_000))[-1]
    assert wrong == pytest.approx(measured, abs=0.009)
    assert wrong <= 0.05
