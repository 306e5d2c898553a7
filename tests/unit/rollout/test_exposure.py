"""Which rows of the log are evidence: each unit once, in the arm of its hash, while units were divided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlead.rollout import exposure
from fairlead.rollout.assignment import is_challengers
from fairlead.rollout.exposure import Exposed, Rows
from fairlead.schema.rollout_state import Allocation, RolloutState
from tests.serverkit.outcomes import HOUR, outcome_rollout, ramped
from tests.serverkit.rollouts import START

SHARES = (0.25, 0.5)
UNITS = [f"card-{number}" for number in range(400)]


def state(shares: tuple[float, ...] = SHARES) -> RolloutState:
    return ramped(outcome_rollout(), shares, hours=1)


def mine(unit: str, share: float) -> bool:
    return is_challengers(unit, "salt", share)


def rows(*given: tuple[Any, ...], region: str | None = None) -> Rows:
    """Of (hours since the start, unit, version, decision); ids count from 1."""
    ids = np.array([[0, number] for number in range(1, len(given) + 1)], dtype=np.uint64).reshape(-1, 2)
    times = np.array([START + round(one[0] * HOUR) for one in given], dtype=np.int64)
    return Rows(ids, times, [r[2] for r in given], [r[1] for r in given], [r[3] for r in given], region)


def honest(hours: float, share: float, units: list[str] = UNITS) -> Rows:
    """What replicas answer that do as they are told."""
    return rows(*((hours, unit, "2" if mine(unit, share) else "1", "true") for unit in units))


def test_each_unit_is_in_the_arm_of_its_hash() -> None:
    found = Exposed().admitted(state(), honest(0.5, 0.25))
    assert len(found) == len(UNITS)
    assert found.challenger.tolist() == [mine(unit, 0.25) for unit in UNITS]
    assert 50 < found.challenger.sum() < 150


def test_a_unit_counts_once_with_its_first_prediction_also_when_it_changes_arms() -> None:
    again = [unit for unit in UNITS if not mine(unit, 0.25) and mine(unit, 0.5)]
    assert again
    first = Exposed().admitted(state(), honest(0.5, 0.25))
    later = first.admitted(state(), honest(0.6, 0.25)).admitted(state(), honest(1.5, 0.5))
    assert len(later) == len(UNITS)
    assert (later.challenger == first.challenger).all()
    newcomers = [f"new-{number}" for number in range(50)]
    grown = later.admitted(state(), honest(1.6, 0.5, newcomers))
    assert grown.challenger[-50:].tolist() == [mine(unit, 0.5) for unit in newcomers]
    assert grown.allocation[-50:].tolist() == [2] * 50


def test_of_several_rows_at_once_the_earliest_counts() -> None:
    version = "2" if mine("a", 0.25) else "1"
    found = Exposed().admitted(state(), rows((0.7, "a", version, "false"), (0.2, "a", version, "true")))
    assert (len(found), found.ids[0, 1], found.decision[0]) == (1, 2, 1)


def test_what_testers_asked_for_by_name_is_no_evidence() -> None:
    wrong = rows(*((0.5, unit, "1" if mine(unit, 0.25) else "2", "true") for unit in UNITS))
    assert len(Exposed().admitted(state(), wrong)) == 0
    # Their later, ordinary predictions are.
    assert len(Exposed().admitted(state(), wrong).admitted(state(), honest(0.6, 0.25))) == len(UNITS)


@pytest.mark.parametrize(
    "row",
    [
        (-0.5, "a", "1", "true"),
        (0.5, None, "1", "true"),
        (0.5, "", "1", "true"),
        (0.5, "a", "3", "true"),
        (0.5, "a", None, "true"),
        (2.5, "a", "2", "true"),
    ],
    ids=["before", "no unit", "empty unit", "another version", "no version", "at a share of 1"],
)
def test_rows_without_a_comparison_are_none(row: tuple[Any, ...]) -> None:
    assert len(Exposed().admitted(state((*SHARES, 1.0)), rows(row))) == 0


def test_a_step_without_the_challenger_costs_no_unit() -> None:
    """Who was seen while only a shadow ran is compared when units are divided."""
    begun = state((0.0, 0.5))
    shadowed = Exposed().admitted(begun, rows(*((0.5, unit, "1", "true") for unit in UNITS)))
    assert len(shadowed) == 0
    assert len(shadowed.admitted(begun, honest(1.5, 0.5))) == len(UNITS)


def test_where_only_some_regions_divide_units_only_their_logs_count() -> None:
    begun = state((0.5,))
    begun = begun.model_copy(update={"allocations": [Allocation(epoch=2, share=0.5, regions=["eu"], since_us=START)]})
    told = [(0.5, unit, "2" if mine(unit, 0.5) else "1", "true") for unit in UNITS]
    assert [len(Exposed().admitted(begun, rows(*told, region=region))) for region in ("eu", "us", None)] == [400, 0, 0]


def test_decisions_are_the_models_labels() -> None:
    wanted = [
        (0.5, f"u{n}", "2" if mine(f"u{n}", 0.25) else "1", text) for n, text in enumerate(["true", "false", "x", None])
    ]
    assert Exposed().admitted(state(), rows(*wanted)).decision.tolist() == [1, 0, -1, -1]


def test_beyond_a_bound_nobody_is_counted_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "MOST_UNITS", 100)
    found = Exposed().admitted(state(), honest(0.5, 0.25, UNITS[:60])).admitted(state(), honest(0.6, 0.25, UNITS[60:]))
    assert len(found) == 100
    assert len(found.admitted(state(), honest(0.7, 0.25))) == 100
