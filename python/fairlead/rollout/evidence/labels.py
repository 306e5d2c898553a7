"""Outcomes that are known weeks later: defaults, charge-backs, returns.

Two answers. *Mature cohort*: look only at units whose label window has closed; nothing is assumed, everything waits.
*Risk sets*: use each bad outcome the day it arrives. Of the units exposed in the same cohort (the same hour or day,
under one allocation) and still without outcome, the challenger has a known share; the event is the challenger's with
probability theta(share), as in `ramp`. That is the log-rank test as a martingale: ter Schure, Perez-Ortiz, Ly and
Grunwald, "The anytime-valid logrank test", 2020 (arXiv 2011.06931). Comparing within cohorts keeps a ramp honest:
the challenger's units are younger on average, and outcomes depend on age.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlead.rollout.evidence.arguments import Floats, counts, numbers, require
from fairlead.rollout.evidence.ramp import RatioTest


@dataclass(frozen=True, slots=True)
class Exposures:
    """Units in any order; arrays of one length."""

    challenger: NDArray[np.bool_]
    """Whose unit it is."""
    cohort: NDArray[np.int64]
    """When it was exposed, coarsely: units of one cohort are compared with each other."""
    event_at: Floats
    """When its bad outcome became known, on any clock; infinity: not (yet)."""
    left_at: Floats
    """When it left observation for another reason, on the same clock; infinity: not yet. Its label window may have
    closed.
    """

    def __post_init__(self) -> None:
        size = len(self.challenger)
        for name in ("cohort", "event_at", "left_at"):
            require(len(getattr(self, name)) == size, name, f"{size} values", len(getattr(self, name)))
        for name in ("event_at", "left_at"):
            require(not np.isnan(getattr(self, name)).any(), name, "times or infinity", "NaN")


@dataclass(frozen=True, slots=True)
class RiskSets:
    """One entry for each event, in the order of arrival: who was at risk just before, and whose it was."""

    at_risk_challenger: NDArray[np.int64]
    at_risk_champion: NDArray[np.int64]
    challenger: NDArray[np.bool_]

    def log_e(self, test: RatioTest) -> float:
        """The logarithm of the evidence of all events; those whose cohort had one arm left tell nothing."""
        at_risk = self.at_risk_challenger + self.at_risk_champion
        both = (self.at_risk_challenger > 0) & (self.at_risk_champion > 0)
        if not both.any():
            return 0.0
        share = self.at_risk_challenger[both] / at_risk[both]
        hit = self.challenger[both].astype(np.float64)
        return float(test.log_e(share, hit, np.ones_like(hit)))


def risk_sets(units: Exposures, until: float = np.inf) -> RiskSets:
    """The risk sets of all events known at `until`, within each event's cohort; units of one cohort are never in
    another's.

    Events of one moment are taken in the order of their units: each shrinks the risk set of the next.
    """
    happened = np.isfinite(units.event_at) & (units.event_at <= until) & (units.event_at <= units.left_at)
    gone_at = np.minimum(units.event_at, units.left_at)
    found: list[tuple[float, int, int, int, bool]] = []
    for cohort in np.unique(units.cohort[happened]):
        found.extend(_of_cohort(units, gone_at, happened, int(cohort)))
    found.sort()
    rows = np.array([row[2:] for row in found], dtype=np.int64).reshape(-1, 3)
    return RiskSets(rows[:, 0], rows[:, 1], rows[:, 2].astype(np.bool_))


def mature_counts(units: Exposures, window: float, exposed_at: ArrayLike, now: float) -> tuple[Floats, Floats]:
    """Bad outcomes and units, each as (champion, challenger), of the units whose label `window` has closed at `now`.

    `exposed_at` is on the clock of `units.event_at`. An outcome after its window does not count: the definition of a
    label must not depend on when one looks.
    """
    exposed = numbers("exposed_at", exposed_at)
    require(exposed.shape == units.challenger.shape, "exposed_at", f"shape {units.challenger.shape}", exposed.shape)
    require(window > 0, "window", "above 0", window)
    mature = exposed + window <= now
    bad = mature & (units.event_at <= exposed + window)
    arms = (~units.challenger, units.challenger)
    return counts("bad", [(bad & arm).sum() for arm in arms]), counts("units", [(mature & arm).sum() for arm in arms])


def _of_cohort(
    units: Exposures, gone_at: Floats, happened: NDArray[np.bool_], cohort: int
) -> list[tuple[float, int, int, int, bool]]:
    """(time, unit, challenger units at risk, champion units at risk, whether the challenger's) of one cohort's
    events.
    """
    members = np.flatnonzero(units.cohort == cohort)
    # An event comes before a departure of the same moment.
    order = members[np.lexsort((members, ~happened[members], gone_at[members]))]
    mine = units.challenger[order]
    left = np.cumsum(mine[::-1])[::-1]  # the challenger's units from this place on are those still at risk
    remaining = np.arange(len(order), 0, -1)
    places = np.flatnonzero(happened[order])
    return [
        (float(gone_at[order[i]]), int(order[i]), int(left[i]), int(remaining[i] - left[i]), bool(mine[i]))
        for i in places
    ]
