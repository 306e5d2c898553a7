"""What a comparison of two tables found: by column, in effect sizes, with verdicts of four values."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from fairlead.schema.base import Document

LARGEST_EFFECT = 10.0
"""Stands for distributions that have nothing in common: the formula is infinite there."""


class Convention(StrEnum):
    """Whose bins, measures and thresholds decide. Effects and severities are Fairlead's under each."""

    FAIRLEAD = "fairlead"
    EVIDENTLY = "evidently"
    NANNYML = "nannyml"


class Verdict(StrEnum):
    STABLE = "stable"
    DRIFTED = "drifted"
    CANNOT_TELL = "cannot_tell"
    """Too few rows for the one or the other."""
    NOT_MEASURED = "not_measured"


class Severity(StrEnum):
    """By the size of the effect, in standard deviations of a normal: from .1, from .316 (PSI .1), from .5 (PSI .25)."""

    NONE = "none"
    SMALL = "small"
    MODERATE = "moderate"
    LARGE = "large"

    @property
    def rank(self) -> int:
        """0 to 3."""
        return list(Severity).index(self)


class ColumnKind(StrEnum):
    NUMBER = "number"
    CATEGORY = "category"
    OTHER = "other"
    """Neither side's values are compared."""


class ColumnRole(StrEnum):
    FEATURE = "feature"
    PREDICTION = "prediction"
    TARGET = "target"


class FindingKind(StrEnum):
    """What can be wrong with a column or a table, apart from drift."""

    MISSING_COLUMN = "missing_column"
    EXTRA_COLUMN = "extra_column"
    TYPE_CHANGED = "type_changed"
    ALL_MISSING = "all_missing"
    MISSING_VALUES = "missing_values"
    INFINITE_VALUES = "infinite_values"
    CONSTANT = "constant"
    OUT_OF_RANGE = "out_of_range"
    UNSEEN_CATEGORIES = "unseen_categories"
    DUPLICATES = "duplicates"
    NOT_COMPARED = "not_compared"


class Effect(Document):
    """The size of a shift as that of a normal's mean in standard deviations, 10 standing for infinity.

    `low` and `high` each hold at the comparison's level, shared out over all its effects.
    """

    size: float = Field(ge=0)
    low: float = Field(ge=0)
    high: float = Field(ge=0)


class Measure(Document):
    """One number under the convention; `threshold` is set for the one that decides."""

    name: str
    value: float | None
    """None: infinite."""
    threshold: float | None = None
    drift_is: Literal["above", "below"] = "above"
    """On which side of the threshold; "below" for p-values."""


class Finding(Document):
    kind: FindingKind
    severity: Severity
    message: str
    reference_share: float | None = None
    """Share of the rows concerned."""
    current_share: float | None = None
    effect: Effect | None = None
    examples: list[str] = Field(default_factory=list)
    """A few of the values concerned."""


class SideFacts(Document):
    """One side of a column. The figures after `distinct` are of the finite numbers."""

    type: str
    missing: int = Field(ge=0)
    infinite: int = Field(default=0, ge=0)
    distinct: int | None = None
    minimum: float | None = None
    median: float | None = None
    maximum: float | None = None
    mean: float | None = None
    standard_deviation: float | None = None


class Distribution(Document):
    """Shares of both sides in the same cells, to be drawn.

    Numbers: k edges, and k + 1 cells of which the first and the last are what lies outside. Categories: one label a
    cell, the commonest first.
    """

    edges: list[float] = Field(default_factory=list)
    labels: list[str] = Field(default_factory=list)
    reference: list[float]
    current: list[float]


class ColumnComparison(Document):
    name: str
    role: ColumnRole = ColumnRole.FEATURE
    kind: ColumnKind
    verdict: Verdict
    severity: Severity
    """The worst of the drift, where it is shown, and of the findings."""
    effect: Effect | None = None
    measures: list[Measure] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    reference: SideFacts | None = None
    current: SideFacts | None = None
    distribution: Distribution | None = None


class MetricComparison(Document):
    """A performance metric on both sides. `change` is current - reference, with an interval at the comparison's
    level.
    """

    name: str
    better: Literal["higher", "lower"]
    reference: float
    current: float
    change: float
    low: float
    high: float
    verdict: Verdict
    """Drifted: shown to be worse."""
    severity: Severity


class PerformanceComparison(Document):
    task: Literal["binary", "multiclass", "regression"]
    positive: str | None = None
    reference_rows: int
    """With both a target and a prediction."""
    current_rows: int
    metrics: list[MetricComparison]


class TableFacts(Document):
    name: str
    rows: int = Field(gt=0)
    duplicates: int = Field(ge=0)
    """Rows that are equal to an earlier one in all columns that were read."""


class Comparison(Document):
    schema_version: Literal[1] = 1
    convention: Convention
    level: float
    """Chance that any drift or finding with an effect is called where nothing is beyond the tolerance (Bonferroni)."""
    tolerance: float
    """Effects up to this size are no drift."""
    reference: TableFacts
    current: TableFacts
    columns: list[ColumnComparison]
    """The worst first."""
    findings: list[Finding] = Field(default_factory=list)
    """About the table."""
    performance: PerformanceComparison | None = None
    """Where target and prediction were named and both tables have them."""
    performance_reason: str | None = None
    """Why there is none."""
    verdict: Verdict
    severity: Severity
    drifted_share: float
    """Of the columns with a verdict."""
