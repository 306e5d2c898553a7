"""A guardrail: one thing that a challenger must not make worse."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from fairlead.schema.declared import CamelDocument
from fairlead.schema.outcome_metrics import Costs, LabelTiming, OutcomeMetric
from fairlead.schema.signature import Scalar
from fairlead.schema.snapshot import MOST_SLICE_COLUMNS, SliceColumn

GuardrailName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,62}$")]


class GuardrailKind(StrEnum):
    RATE = "rate"
    """Units with a bad outcome: metric `errors`."""
    VIOLATIONS = "violations"
    """Units with a row that broke the signature."""
    DECISION_RATE = "decision_rate"
    """Units whose first decision is the label in `metric`."""
    QUANTILE = "quantile"
    """A quantile of the time to answer: metric `latency_ms`."""
    DISTRIBUTION = "distribution"
    """How the units' first scores are distributed: metric `score`."""
    FLIPS = "flips"
    """Shadow answers that become the label in `metric`, against those that cease to be it."""
    OUTCOME = "outcome"
    """What became of units, as far as outcomes tell: `metric` is one of `OutcomeMetric`."""


class Direction(StrEnum):
    """Which way is worse."""

    INCREASE = "increase"
    DECREASE = "decrease"
    EITHER = "either"


class GuardrailAction(StrEnum):
    """What follows from harm."""

    ROLLBACK = "rollback"
    HOLD = "hold"


class Margin(CamelDocument):
    """How much worse is still accepted: either a ratio (1.25: a quarter more) or an absolute difference."""

    ratio: float | None = Field(default=None, ge=1, le=100)
    abs: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.ratio is None) == (self.abs is None):
            raise ValueError("a margin is either `ratio` or `abs`")
        return self


BY_SLICE = (GuardrailKind.RATE, GuardrailKind.VIOLATIONS, GuardrailKind.DECISION_RATE)
"""Kinds that the data plane counts by slice."""
_METRICS = {
    GuardrailKind.RATE: "errors",
    GuardrailKind.VIOLATIONS: "violations",
    GuardrailKind.QUANTILE: "latency_ms",
    GuardrailKind.DISTRIBUTION: "score",
}


class Guardrail(CamelDocument):
    """One thing that must not get worse. Harm is tested at every look; safety where an analysis asks for it."""

    name: GuardrailName
    kind: GuardrailKind
    metric: Scalar | None = None
    """What is measured; for `decision_rate` and `flips` one of the model's labels."""
    q: float | None = Field(default=None, gt=0, lt=1)
    """Which quantile."""
    direction: Direction = Direction.INCREASE
    margin: Margin | None = None
    """Safe means: surely less than this much worse. Without it, safety cannot be shown."""
    harm_margin: Margin | None = None
    """Harm means: surely more than this much worse; None: worse at all."""
    alpha: float | None = Field(default=None, gt=0, lt=0.5)
    """Of this guardrail; None: the rollout's, divided for roll-back."""
    action: GuardrailAction = GuardrailAction.ROLLBACK
    by: SliceColumn | Annotated[list[SliceColumn], Field(min_length=1, max_length=MOST_SLICE_COLUMNS)] | None = None
    """Columns: units are compared within each value of them; None: all units together."""
    min_slice_units: int = Field(default=100, ge=1)
    """Of both arms: what is not said of a slice with fewer is that it is safe."""
    positive: Scalar | None = None
    """Outcomes: the positive label; None: the second of a binary model's."""
    labels: LabelTiming | None = None
    """Outcomes: when they are known."""
    costs: Costs | None = None
    """Outcomes: of the metric `cost`."""

    @model_validator(mode="after")
    def _fits_outcomes(self) -> Self:
        if self.kind is GuardrailKind.OUTCOME:
            self._check_outcome()
        elif self.labels is not None or self.positive is not None or self.costs is not None:
            raise ValueError(f"guardrail {self.name!r}: `labels`, `positive` and `costs` belong to outcome")
        return self

    def _check_outcome(self) -> None:
        metrics = [one.value for one in OutcomeMetric]
        if self.metric not in metrics:
            raise ValueError(f"guardrail {self.name!r}: the metric of an outcome is one of {metrics}")
        if self.labels is None:
            raise ValueError(f"guardrail {self.name!r}: an outcome has `labels`, which say when it is known")
        if self.direction is not Direction.INCREASE:
            raise ValueError(f"guardrail {self.name!r}: an outcome metric is worse when it increases")
        cost = self.metric == OutcomeMetric.COST
        if cost != (self.costs is not None):
            raise ValueError(f"guardrail {self.name!r}: `costs` belong to the metric cost, and to nothing else")
        if cost and self.labels.mature_after is None:
            raise ValueError(f"guardrail {self.name!r}: a cost is compared in closed cohorts: it needs `matureAfter`")
        for margin in (self.margin, self.harm_margin):
            if cost and margin is not None and margin.abs is None:
                raise ValueError(f"guardrail {self.name!r}: a cost has a margin `abs`, in cost per unit")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        kind, wanted = self.kind, _METRICS.get(self.kind)
        if wanted is None and self.metric is None:
            raise ValueError(f"guardrail {self.name!r}: `metric` is the label that {kind.value} counts")
        if wanted is not None and self.metric not in (None, wanted):
            raise ValueError(f"guardrail {self.name!r}: the metric of {kind.value} is {wanted!r}, got {self.metric!r}")
        if (kind is GuardrailKind.QUANTILE) != (self.q is not None):
            raise ValueError(f"guardrail {self.name!r}: `q` belongs to quantile, and to nothing else")
        if kind is GuardrailKind.QUANTILE and self.direction is not Direction.INCREASE:
            raise ValueError(f"guardrail {self.name!r}: a quantile of latency is worse when it increases")
        if kind is GuardrailKind.DISTRIBUTION and (self.harm_margin is not None or _is_ratio(self.margin)):
            raise ValueError(f"guardrail {self.name!r}: a distribution has a margin `abs`, the largest distance")
        if kind not in (GuardrailKind.QUANTILE, GuardrailKind.DISTRIBUTION) and self.costs is None:
            for margin in (self.margin, self.harm_margin):
                if margin is not None and margin.ratio is None:
                    raise ValueError(f"guardrail {self.name!r}: a {kind.value} has a margin `ratio`")
        return self

    @model_validator(mode="after")
    def _slices_fit_its_kind(self) -> Self:
        if self.by is not None and self.kind not in BY_SLICE:
            kinds = ", ".join(one.value for one in BY_SLICE)
            raise ValueError(f"guardrail {self.name!r}: `by` belongs to {kinds}; got {self.kind.value}")
        if len(set(self.columns)) != len(self.columns):
            raise ValueError(f"guardrail {self.name!r}: `by` must be unique, got {self.columns}")
        return self

    @property
    def columns(self) -> list[str]:
        """The columns of `by`."""
        if self.by is None:
            return []
        return [self.by] if isinstance(self.by, str) else list(self.by)

    @property
    def outcome_metric(self) -> OutcomeMetric:
        """The metric of a guardrail on outcomes."""
        return OutcomeMetric(str(self.metric))

    @property
    def can_be_proven(self) -> bool:
        """Whether safety can be shown: not that nothing is worse at all."""
        margin = self.margin
        return margin is not None and ((margin.ratio or 0) > 1 or (margin.abs or 0) > 0)


def _is_ratio(margin: Margin | None) -> bool:
    return margin is not None and margin.ratio is not None
