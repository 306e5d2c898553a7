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
    # By cohort, then by departure; an event comes before a departure of the same moment, and ties keep their order.
    order = np.lexsort((~happened, gone_at, units.cohort))
    cohort, mine = units.cohort[order], units.challenger[order]
    # Those from a place on to the end of its cohort are still at risk.
    end = np.searchsorted(cohort, cohort, side="right")
    before = np.concatenate([[0], np.cumsum(mine)])
    places = np.flatnonzero(happened[order])
    left = before[end[places]] - before[places]
    remaining = end[places] - places
    arrival = np.lexsort((order[places], gone_at[order[places]]))
    at_risk = np.stack([left, remaining - left], axis=-1).astype(np.int64)[arrival]
    return RiskSets(at_risk[:, 0], at_risk[:, 1], mine[places][arrival])


@dataclass(frozen=True, slots=True)
class Cohorts:
    """One entry for each cohort: units and bad outcomes of either arm."""

    challenger: NDArray[np.int64]
    champion: NDArray[np.int64]
    bad_challenger: NDArray[np.int64]
    bad_champion: NDArray[np.int64]


def by_cohort(challenger: NDArray[np.bool_], cohort: NDArray[np.int64], bad: NDArray[np.bool_]) -> Cohorts:
    """Count units whose label window has closed, by cohort.

    With each cohort's own share for rho these are epochs of `ramp`, and valid however frequent bad outcomes are: with
    n1 and n0 units and rates p1 = m p0 the mean of a factor is at most exp(n1 p1 t/tm + n0 p0 (1-t)/(1-tm) - n1 p1 -
    n0 p0), which is 1 because tm is n1 p1 / (n1 p1 + n0 p0).
    """
    _, place = np.unique(cohort, return_inverse=True)

    def count(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(place[mask], minlength=int(place.max()) + 1 if place.size else 0).astype(np.int64)

    return Cohorts(count(challenger), count(~challenger), count(challenger & bad), count(~challenger & bad))


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
