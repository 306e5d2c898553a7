"""What the join of prediction log and outcomes comes to: small, and enough to compute every e-value again.

The evidence of rates depends on each bad outcome only by the challenger's share of the units that it might have been.
Shares are kept on a grid of odds, one percent wide, and rounded to the side on which evidence is smaller: some hundred
rows, `MOST_ROWS` at most, however many units there are.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from fairlead.schema.base import Document
from fairlead.schema.guardrail import GuardrailName
from fairlead.schema.registry import Microseconds
from fairlead.schema.telemetry import Count

ODDS_STEP = 0.01
"""The grid's width, in the logarithm of the odds."""
FARTHEST_STEP = 1_200
"""Odds of 163,000 to one; what lies beyond tells nothing, and is left out."""
MOST_ROWS = 2 * FARTHEST_STEP + 1
MOST_MEANS = 200
"""Allocations of which a guardrail on a mean keeps sums."""


class OutcomeArm(Document):
    """One arm, in cohorts that are compared already."""

    units: Count = 0
    """Exposed; where only positives are compared, those decided positive."""
    labelled: Count = 0
    bad: Count = 0


class OutcomeEvents(Document):
    """Bad outcomes at one share of the challenger's."""

    step: int = Field(ge=-FARTHEST_STEP, le=FARTHEST_STEP)
    """The odds of the share lie in [e^(step * ODDS_STEP), e^((step + 1) * ODDS_STEP))."""
    events: Count
    challenger: Count
    """Of the events, those in the challenger."""


class OutcomeSums(Document):
    """Of a bounded mean, in one allocation; as in `evidence.means.Effects.sums`."""

    share: float = Field(gt=0, lt=1)
    units: Count
    sum: float
    """Summed estimates of challenger minus champion."""
    variance: float = Field(ge=0)


class OutcomeCounts(Document):
    """Of one guardrail."""

    name: GuardrailName
    champion: OutcomeArm = OutcomeArm()
    challenger: OutcomeArm = OutcomeArm()
    events: list[OutcomeEvents] = Field(default_factory=list, max_length=MOST_ROWS)
    means: list[OutcomeSums] = Field(default_factory=list, max_length=MOST_MEANS)


class OutcomeEvidence(Document):
    """Of all guardrails on outcomes of a rollout."""

    as_of_us: Microseconds = 0
    """When log and outcomes were last read."""
    problem: str | None = None
    """Why they could not be, or not to the end: nothing advances while there is one."""
    unmatched: Count = 0
    """Outcomes that belong to no prediction that is compared."""
    guardrails: list[OutcomeCounts] = Field(default_factory=list)

    @model_validator(mode="after")
    def _unique(self) -> OutcomeEvidence:
        names = [one.name for one in self.guardrails]
        if len(set(names)) != len(names):
            raise ValueError(f"guardrail names must be unique, got {names}")
        return self

    def of(self, name: str) -> OutcomeCounts | None:
        """Return what is known for a guardrail, or None."""
        return next((one for one in self.guardrails if one.name == name), None)
