"""Rates: the units of either arm with an outcome, by epoch, as evidence for harm and for safety."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from fairlead.rollout.evidence.ramp import Epoch, RatioTest, Side
from fairlead.schema.guardrail import Direction, Guardrail, GuardrailKind, Margin
from fairlead.schema.rollout_state import ArmEvidence, EpochEvidence, SliceArm
from fairlead.schema.signature import Scalar

Row = tuple[float, int, int]
"""Of one epoch: the challenger's share of the units compared, its outcomes, the champion's."""


@dataclass(frozen=True, slots=True)
class Compared:
    """An epoch in which units were divided."""

    index: int
    """Among all epochs of the rollout, from 1."""
    share: float
    """The challenger's, of the units compared."""
    counted: EpochEvidence

    def units(self, count: int) -> int:
        """Return how many units, of which replicas counted `count`."""
        return int(count // self.counted.duplication)


@dataclass(frozen=True, slots=True)
class Shown:
    """Logarithms of the evidence, and the outcomes counted."""

    harm: float | None
    safe: float | None
    champion: int = 0
    challenger: int = 0
    ratio: float | None = None


def by_epoch(rows: Sequence[Row], guardrail: Guardrail) -> Shown:
    """Return the evidence of units with an outcome; the ratio is to what the champion's units let expect."""
    expected = sum(theirs * share / (1 - share) for share, _, theirs in rows)
    mine = sum(row[1] for row in rows)
    theirs = sum(row[2] for row in rows)
    return on_rows(rows, guardrail, Shown(None, None, theirs, mine, mine / expected if expected else None))


def on_rows(rows: Sequence[Row], guardrail: Guardrail, counted: Shown) -> Shown:
    """Return what was counted with the evidence on it."""
    up = [Epoch(share, mine, mine + theirs) for share, mine, theirs in rows]
    down = [Epoch(1 - share, theirs, mine + theirs) for share, mine, theirs in rows]
    sides = {Direction.INCREASE: [up], Direction.DECREASE: [down], Direction.EITHER: [up, down]}[guardrail.direction]
    harm_test = RatioTest(Side.HARM, ratio_of(guardrail.harm_margin))
    safe_test = RatioTest(Side.SAFE, ratio_of(guardrail.margin))
    harm = [harm_test.log_e_of(side) for side in sides]
    # Harm on either side: the mean of two e-values is one. Safety on both sides: each must be shown.
    mixed = float(np.logaddexp.reduce(harm) - log(len(harm)))
    safe = min(safe_test.log_e_of(side) for side in sides)
    return Shown(mixed, safe, counted.champion, counted.challenger, counted.ratio)


def outcomes(guardrail: Guardrail, arm: ArmEvidence | SliceArm, labels: Sequence[Scalar]) -> int:
    """Return how many of the arm's units had what the guardrail counts."""
    if guardrail.kind is GuardrailKind.RATE:
        return arm.errors
    if guardrail.kind is GuardrailKind.VIOLATIONS:
        return arm.violations
    places = [place for place, label in enumerate(labels) if same(label, guardrail.metric)]
    return sum(arm.decisions[place] for place in places if place < len(arm.decisions))


def same(label: Scalar, other: Scalar | None) -> bool:
    """Whether two labels are one; True is not 1."""
    return isinstance(label, bool) == isinstance(other, bool) and label == other


def ratio_of(margin: Margin | None) -> float:
    """Return the ratio that a margin accepts; 1: nothing worse."""
    return 1.0 if margin is None or margin.ratio is None else margin.ratio
