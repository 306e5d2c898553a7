"""Late labels: risk sets within cohorts, mature cohorts, and why units are compared with those of their age."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.labels import Exposures, RiskSets, mature_counts, risk_sets
from fairlead.rollout.evidence.ramp import Epoch, RatioTest, Side

if TYPE_CHECKING:
    from tests.unit.rollout.evidence.conftest import Judge

HARM = RatioTest(Side.HARM, 1.0)
INF = np.inf


def exposures(challenger: list[int], cohort: list[int], event_at: list[float], left_at: list[float]) -> Exposures:
    return Exposures(np.array(challenger) == 1, np.array(cohort), np.array(event_at), np.array(left_at))


def of_all_exposed(mine: np.ndarray, day: np.ndarray, event_at: np.ndarray) -> RiskSets:
    """What one might do instead: everybody who is exposed and without outcome, of whatever age."""
    times = np.sort(event_at[np.isfinite(event_at)])
    at_risk = (day <= times[:, None]) & (event_at >= times[:, None])
    return RiskSets(
        (at_risk & mine).sum(axis=1), (at_risk & ~mine).sum(axis=1), mine[np.argsort(event_at)[: len(times)]]
    )


def test_each_event_shrinks_the_risk_set_of_its_own_cohort() -> None:
    units = exposures([1, 1, 0, 0, 0, 1], [1, 1, 1, 1, 2, 2], [5, INF, 3, 9, 4, INF], [INF, 4, INF, INF, INF, INF])
    found = risk_sets(units)
    # at 3: 2 against 2; at 4 (cohort 2): 1 against 1; at 5, one of each has gone: 1 against 1; at 9: 0 against 1
    assert found.at_risk_challenger.tolist() == [2, 1, 1, 0]
    assert found.at_risk_champion.tolist() == [2, 1, 1, 1]
    assert found.challenger.tolist() == [False, False, True, False]


def test_what_is_not_known_yet_does_not_count() -> None:
    units = exposures([1, 0, 0], [1, 1, 1], [5, 8, INF], [INF, INF, INF])
    assert len(risk_sets(units, until=7).challenger) == 1
    assert len(risk_sets(units, until=4).challenger) == 0
    assert risk_sets(units, until=4).log_e(HARM) == 0


def test_an_outcome_after_the_unit_left_is_none() -> None:
    assert len(risk_sets(exposures([1, 0], [1, 1], [5, 6], [4, INF])).challenger) == 1


def test_large_risk_sets_are_the_rate_test() -> None:
    units = exposures([1, 0] * 5_000, [1] * 10_000, [1.0, 2.0, 3.0] + [INF] * 9_997, [INF] * 10_000)
    assert risk_sets(units).log_e(HARM) == pytest.approx(HARM.log_e_of([Epoch(0.5, 2, 3)]), abs=1e-3)


def test_a_ramp_gives_no_alarm_though_the_challengers_units_are_younger(keeps_level: Judge) -> None:
    """Outcomes come early in a unit's life, and the challenger's units are younger: only within cohorts is that
    equal.
    """
    rng = np.random.default_rng(17)
    crossed, naive = [], []
    for _ in range(200):
        day = np.repeat([0, 10, 20], 150)
        mine = rng.random(450) < np.array([0.05, 0.25, 0.5])[day // 10]
        event_at = np.where(rng.random(450) < 0.5, day + rng.exponential(4.0, 450), INF)
        left_at = np.full(450, 40.0)
        crossed.append(risk_sets(Exposures(mine, day, event_at, left_at)).log_e(HARM) >= np.log(20))
        naive.append(of_all_exposed(mine, day, event_at).log_e(HARM) >= np.log(20))
    keeps_level(np.array(crossed), 0.05)
    assert np.mean(naive) > 0.2


def test_a_mature_cohort_counts_closed_windows_only() -> None:
    units = exposures([0, 0, 1, 1, 1], [0] * 5, [3, 50, 12, INF, 31], [INF] * 5)
    bad, mature = mature_counts(units, window=10, exposed_at=[0, 0, 5, 20, 30], now=31)
    # unit 1's outcome came after its window; unit 3's window is closed at 30; unit 4's is open, though its outcome
    # is known
    assert bad.tolist() == [1, 1]
    assert mature.tolist() == [2, 2]


def test_arrays_must_be_of_one_length_and_without_gaps() -> None:
    with pytest.raises(BadInputError, match="event_at: expected 2 values, got 1"):
        exposures([1, 0], [1, 1], [1.0], [INF, INF])
    with pytest.raises(BadInputError, match="left_at: expected times or infinity, got NaN"):
        exposures([1], [1], [1.0], [np.nan])
    with pytest.raises(BadInputError, match="window: expected above 0"):
        mature_counts(exposures([1], [1], [1.0], [INF]), 0, [0], 1)
