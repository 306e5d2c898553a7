"""Outcomes that come late, over a ramp: false alarms while nothing differs, and how long a regression stays unseen.

The evidence is made by the functions that the control plane calls, from units and outcomes as it would have read them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.rollouts.traffic import SHARES, Counts
from fairlead.rollout.evidence.ramp import RatioTest, Side
from fairlead.rollout.exposure import Exposed
from fairlead.rollout.outcome_assessment import outcomes_shown
from fairlead.rollout.outcomes import Told, counts_of
from fairlead.schema.guardrail import Guardrail
from fairlead.schema.rollout_state import Allocation, Contender, Phase, RolloutState

ALPHA = 0.05
HOUR = 3_600_000_000
STEP_HOURS, DELAY_HOURS, WINDOW_HOURS = 24, 10, 40
LOOKS = np.arange(6, 3 * STEP_HOURS + WINDOW_HOURS + 12, 6) * HOUR
METHODS = {
    "risk sets": {"delay": f"{DELAY_HOURS}h"},
    "mature cohorts": {"delay": f"{DELAY_HOURS}h", "matureAfter": f"{WINDOW_HOURS}h", "method": "mature"},
}
POOLED = "risk sets of units of any age"
HARM = RatioTest(Side.HARM, 1.0)


@dataclass(frozen=True, slots=True)
class Late:
    """Units in equal numbers in each step of the ramp; outcomes come after an exponential time."""

    units: int = 1_000
    """In each step."""
    rate: float = 0.1
    """False positives of the champion, by unit."""
    ratio: float = 1.0
    """The challenger's to the champion's."""
    labelled: float = 0.5
    """Share of units of which it is ever known what they were."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How often a rule rolled back, and after how many hours at the median; None: fewer than half."""

    share: float
    median: float | None


def rolled_back(rng: np.random.Generator, late: Late, rollouts: int) -> dict[str, Seen]:
    """Play rollouts with a look every six hours, each judged by all rules."""
    guardrails = {name: _guardrail(labels) for name, labels in METHODS.items()}
    stopped = {name: np.full(rollouts, np.inf) for name in (*METHODS, POOLED)}
    for number in range(rollouts):
        exposed, told = _live(rng, late)
        for now in LOOKS:
            units, known = _until(exposed, told, int(now))
            unit = known.units(units)
            for name, guardrail in guardrails.items():
                counts = counts_of(guardrail, STATE, (units, known, unit), int(now))
                if (outcomes_shown(guardrail, counts).harm or 0.0) >= -np.log(ALPHA):
                    stopped[name][number] = min(stopped[name][number], now / HOUR)
            if _pooled(units, known, unit) >= -np.log(ALPHA):
                stopped[POOLED][number] = min(stopped[POOLED][number], now / HOUR)
    return {name: _seen(hours) for name, hours in stopped.items()}


def _seen(hours: np.ndarray) -> Seen:
    middle = float(np.median(hours))
    return Seen(float(np.isfinite(hours).mean()), middle if np.isfinite(middle) else None)


def _pooled(exposed: Exposed, told: Told, unit: Counts) -> float:
    """Each bad outcome against everybody exposed and without outcome, however long ago."""
    arrived, mine = told.received_us, exposed.challenger
    bad = (exposed.decision[unit] == 1) & (told.label == 0)
    at_risk = [
        np.searchsorted(np.sort(exposed.at_us[arm]), arrived, side="right")
        - np.concatenate([[0], np.cumsum(arm[unit])])[: len(arrived)]
        for arm in (mine, ~mine)
    ]
    both = bad & (at_risk[0] > 0) & (at_risk[1] > 0)
    if not both.any():
        return 0.0
    share = at_risk[0][both] / (at_risk[0] + at_risk[1])[both]
    return float(HARM.log_e(share, mine[unit][both], np.ones(int(both.sum()))))


def _guardrail(labels: dict[str, str]) -> Guardrail:
    return Guardrail.model_validate(
        {"name": "fp", "kind": "outcome", "metric": "false_positives", "margin": {"ratio": 1.5}, "labels": labels}
    )


STATE = RolloutState(
    phase=Phase.PROGRESSING,
    step_started_us=0,
    started_us=0,
    champion=Contender(version="1", sha256="1" * 64),
    challenger=Contender(version="2", sha256="2" * 64),
    labels=[False, True],
    routing=None,
    allocations=[
        Allocation(epoch=number, share=share, since_us=number * STEP_HOURS * HOUR)
        for number, share in enumerate(SHARES)
    ],
)


def _live(rng: np.random.Generator, late: Late) -> tuple[Exposed, Told]:
    size = late.units * len(SHARES)
    allocation: Counts = np.repeat(np.arange(len(SHARES)), late.units)
    at_us = allocation * STEP_HOURS * HOUR + rng.integers(0, STEP_HOURS * HOUR, size)
    challenger = rng.random(size) < np.asarray(SHARES)[allocation]
    bad = rng.random(size) < late.rate * np.where(challenger, late.ratio, 1.0)
    flagged = bad | (rng.random(size) < 0.3)
    ids = np.stack([np.zeros(size, dtype=np.uint64), np.arange(size, dtype=np.uint64)], axis=1)
    exposed = Exposed(ids, challenger, allocation, at_us, flagged.astype(np.int64))
    received = at_us + np.round(rng.exponential(DELAY_HOURS * HOUR, size)).astype(np.int64)
    known = np.flatnonzero(rng.random(size) < late.labelled)
    known = known[np.argsort(received[known])]
    label = np.where(flagged & ~bad, 1, 0)[known]
    arrived = received[known]
    told = Told(ids[known], label, np.arange(len(known)), arrived, arrived, np.full(len(known), "x", dtype=np.object_))
    return exposed, told


def _until(exposed: Exposed, told: Told, now: int) -> tuple[Exposed, Told]:
    """What had been read by then."""
    at = exposed.at_us <= now
    units = Exposed(
        exposed.ids[at], exposed.challenger[at], exposed.allocation[at], exposed.at_us[at], exposed.decision[at]
    )
    return units, told.without(told.received_us > now)
