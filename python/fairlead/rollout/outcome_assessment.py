"""What the joined outcomes show of a guardrail: from `OutcomeCounts` alone, so that a record can be decided again."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np
from scipy import special

from fairlead.rollout.evidence.ramp import RatioTest, Side
from fairlead.rollout.outcomes import effects_of
from fairlead.schema.guardrail import Guardrail, Margin
from fairlead.schema.outcome_evidence import ODDS_STEP, OutcomeCounts


@dataclass(frozen=True, slots=True)
class Found:
    """Logarithms of the evidence, the bad outcomes of either arm, and the ratio of their rates (no claim)."""

    harm: float | None
    safe: float | None
    champion: int = 0
    challenger: int = 0
    ratio: float | None = None


def outcomes_shown(guardrail: Guardrail, counts: OutcomeCounts | None) -> Found:
    """Return what is shown; nothing at all where nothing was joined."""
    if counts is None:
        return Found(None, None)
    found = _mean(guardrail, counts) if guardrail.costs is not None else _rate(guardrail, counts)
    return Found(*found, counts.champion.bad, counts.challenger.bad, _ratio(counts))


def _rate(guardrail: Guardrail, counts: OutcomeCounts) -> tuple[float, float]:
    """Shares lie within a step of the grid; each side takes the end at which its evidence is smaller."""
    if not counts.events:
        return 0.0, 0.0
    step = np.array([row.step for row in counts.events])
    mine, events = ([getattr(row, name) for row in counts.events] for name in ("challenger", "events"))
    harm = RatioTest(Side.HARM, _of_ratio(guardrail.harm_margin))
    safe = RatioTest(Side.SAFE, _of_ratio(guardrail.margin))
    above, below = (special.expit(one * ODDS_STEP) for one in (step + 1, step))
    return float(harm.log_e(above, mine, events)), float(safe.log_e(below, mine, events))


def _mean(guardrail: Guardrail, counts: OutcomeCounts) -> tuple[float, float]:
    """Evidence of each allocation, added: each has a share of its own, and so has its bound."""
    assert guardrail.costs is not None
    accepted = 0.0 if guardrail.margin is None else guardrail.margin.abs or 0.0
    tolerated = 0.0 if guardrail.harm_margin is None else guardrail.harm_margin.abs or 0.0
    harm = safe = 0.0
    for one in counts.means:
        mixture = effects_of(one.share, guardrail.costs).mixture
        variance = max(one.variance, 1e-12)
        harm += float(mixture.log_e(one.sum - tolerated * one.units, variance))
        safe += float(mixture.log_e(accepted * one.units - one.sum, variance))
    return harm, safe


def _of_ratio(margin: Margin | None) -> float:
    return 1.0 if margin is None or margin.ratio is None else margin.ratio


def _ratio(counts: OutcomeCounts) -> float | None:
    mine = sum(row.challenger for row in counts.events)
    expected = sum((row.events - row.challenger) * exp((row.step + 0.5) * ODDS_STEP) for row in counts.events)
    return mine / expected if expected else None
