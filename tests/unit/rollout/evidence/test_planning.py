"""The planner: its figures keep together, and say None where nothing can be promised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.planning import Question, expected_events, fixed_sample_units, plan
from fairlead.rollout.evidence.ramp import RatioTest, Side

QUESTION = Question(0.01, safe_margin=2.0, cohort=1_000, units_per_hour=100.0)


def test_what_the_cohort_detects_needs_the_cohort() -> None:
    found = plan(QUESTION)
    assert found.detectable_ratio is not None
    assert 3.0 < found.detectable_ratio < 3.3
    needs = {need.ratio: need for need in found.harm}
    assert needs[3.0].units is not None
    assert needs[3.0].units > 1_000 > (needs[5.0].units or 0)
    assert needs[3.0].hours == pytest.approx(needs[3.0].units / 100)


def test_a_larger_cohort_finds_smaller_harm_and_certifies_smaller_margins() -> None:
    small, large = plan(QUESTION), plan(replace(QUESTION, cohort=10_000))
    assert small.detectable_ratio is not None
    assert large.detectable_ratio is not None
    assert large.detectable_ratio < small.detectable_ratio
    assert large.certifiable_margin is not None
    assert small.certifiable_margin is not None
    assert large.certifiable_margin < 2 < small.certifiable_margin
    assert (large.safe_power or 0) > 0.8 > (small.safe_power or 1)


def test_certifying_the_certifiable_margin_takes_the_cohort() -> None:
    margin = plan(QUESTION).certifiable_margin
    assert margin is not None
    need = plan(replace(QUESTION, safe_margin=margin)).safe
    assert need.units == pytest.approx(1_000, rel=0.1)


def test_units_that_the_champion_has_anyway_are_free_power() -> None:
    even, few = plan(QUESTION).harm[1], plan(replace(QUESTION, share=0.05)).harm[1]
    assert even.units is not None
    assert few.units is not None
    assert few.units < 0.6 * even.units
    assert few.events is not None
    assert few.events > (even.events or 0)


def test_needs_beyond_all_patience_are_none() -> None:
    found = plan(Question(0.01, safe_margin=1.01))
    assert found.safe.units is None
    assert found.safe.hours is None
    assert found.detectable_ratio is found.certifiable_margin is found.safe_power is None
    hopeless = plan(Question(0.001, safe_margin=1.0, cohort=50))
    assert hopeless.safe.events is None
    assert hopeless.certifiable_margin is None


def test_the_formula_gives_the_order_of_magnitude() -> None:
    for need in plan(QUESTION).harm:
        formula = expected_events(RatioTest(Side.HARM, 1.0), 0.5, need.ratio, 0.05)
        assert need.median_events is not None
        assert need.median_events / 2.5 < formula < need.median_events * 2.5
    assert expected_events(RatioTest(Side.HARM, 1.0), 0.5, 0.9, 0.05) == np.inf


def test_the_fixed_sample_is_the_textbooks() -> None:
    # Fleiss: 1 % against 2 %, one-sided 5 %, power 80 %: (1.645 + 0.842)^2 (0.0099 + 0.0196) / 0.01^2
    assert fixed_sample_units(0.01, 0.02) == pytest.approx(1_824, abs=1)
    with pytest.raises(BadInputError, match="rate: expected other than base_rate"):
        fixed_sample_units(0.01, 0.01)


def test_an_impossible_question_is_refused() -> None:
    with pytest.raises(BadInputError, match="base_rate"):
        Question(0.0)
    with pytest.raises(BadInputError, match="cohort: expected at least 1 unit"):
        Question(0.1, cohort=0)
    with pytest.raises(BadInputError, match="units_per_hour"):
        Question(0.1, units_per_hour=0.0)
