"""What a guardrail on outcomes counts, and how it deals with labels that come late."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from fairlead.schema.declared import CamelDocument, Duration
from fairlead.schema.outcomes import Source
from fairlead.schema.signature import Scalar

DAY = 86_400.0
BUCKETS_IN_A_DELAY = 20
LONGEST_COHORT, SHORTEST_COHORT = DAY, 1.0


class OutcomeMetric(StrEnum):
    """What is bad, of a unit's first prediction and its outcome."""

    FALSE_POSITIVES = "false_positives"
    """Decided positive, and was not."""
    FALSE_NEGATIVES = "false_negatives"
    """Not decided positive, and was."""
    ERRORS = "errors"
    """Decided another label than it was."""
    FALSE_DISCOVERY = "false_discovery"
    """As false positives, among the units that were decided positive: 1 - precision."""
    COST = "cost"
    """The mean of `costs` over units."""

    @property
    def among_positives(self) -> bool:
        """Whether only units that were decided positive are compared."""
        return self is OutcomeMetric.FALSE_DISCOVERY

    @property
    def needs_positive(self) -> bool:
        """Whether it asks which label is the positive one."""
        return self is not OutcomeMetric.ERRORS


class LabelMethod(StrEnum):
    RISK_SETS = "riskSets"
    """Each bad outcome counts when it arrives, among the units of its cohort of which none is known yet."""
    MATURE = "mature"
    """Only cohorts whose label window has closed count."""


class LabelTiming(CamelDocument):
    """When outcomes are known, and what to make of it."""

    delay: Duration
    """How long outcomes usually take; for planning, and for the width of cohorts."""
    mature_after: Duration | None = None
    """The label window: what becomes known of a unit later than this after its prediction is not counted."""
    method: LabelMethod = LabelMethod.RISK_SETS
    cohort: Duration | None = Field(default=None, gt=0)
    """Units exposed within so long of each other are compared; None: a twentieth of `delay`, at most a day."""
    source: Source | None = None
    """Whose outcomes count; None: whatever was said last."""
    absent: Scalar | None = None
    """The label of units of which nothing is known when the label window closes; None: they stay without one."""

    @model_validator(mode="after")
    def _window(self) -> Self:
        if self.mature_after is None and (self.method is LabelMethod.MATURE or self.absent is not None):
            raise ValueError("labels: `mature` and `absent` need `matureAfter`, the time when no more labels come")
        if self.mature_after is not None and (self.mature_after < self.delay or self.mature_after == 0):
            raise ValueError("labels: `matureAfter` must be above 0 and not below `delay`")
        return self

    @property
    def cohort_seconds(self) -> float:
        """How wide a cohort is."""
        if self.cohort is not None:
            return self.cohort
        return min(LONGEST_COHORT, max(SHORTEST_COHORT, self.delay / BUCKETS_IN_A_DELAY))


class Costs(CamelDocument):
    """What a unit costs, by what was decided and what it was; in any unit of money."""

    false_positive: float = 0.0
    false_negative: float = 0.0
    true_positive: float = 0.0
    true_negative: float = 0.0

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.low == self.high:
            raise ValueError("costs: at least two of them must differ")
        return self

    @property
    def all(self) -> tuple[float, float, float, float]:
        """All four."""
        return self.false_positive, self.false_negative, self.true_positive, self.true_negative

    @property
    def low(self) -> float:
        """The least that a unit costs."""
        return min(self.all)

    @property
    def high(self) -> float:
        """The most that a unit costs."""
        return max(self.all)
