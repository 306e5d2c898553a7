"""The reference profile: what the training sample looked like, for monitors to compare with."""

from __future__ import annotations

from pydantic import Field

from fairlead.schema.base import Document


class NumericProfile(Document):
    """Counts on fixed edges taken from the sample's quantiles.

    Bin 0 is (-inf, edges[0]), bin i is [edges[i-1], edges[i]), the last is [edges[-1], inf):
    `len(counts) == len(edges) + 1`. Counters on equal edges add up over replicas exactly.
    """

    edges: list[float]
    counts: list[int]
    mean: float | None
    standard_deviation: float | None
    minimum: float | None
    maximum: float | None
    distinct: int = Field(ge=0)


class CategoryProfile(Document):
    """Counts of the commonest values (commonest first) and of all the others together."""

    counts: dict[str, int]
    other: int = Field(default=0, ge=0)
    distinct: int = Field(ge=0)


class FeatureProfile(Document):
    name: str
    count: int = Field(ge=0)
    """Rows in the sample."""
    missing: int = Field(ge=0)
    numeric: NumericProfile | None = None
    """Set for numbers."""
    categories: CategoryProfile | None = None
    """Set for strings and booleans."""


class SegmentRate(Document):
    """One value of a segment column: how many rows, how many decided positive, mean score, how many truly positive."""

    segment: str
    value: str
    count: int
    positive_decisions: int | None
    mean_score: float | None
    positive_labels: int | None


class Profile(Document):
    """What one model saw in training and said of it."""

    rows: int = Field(ge=0)
    features: list[FeatureProfile] = Field(default_factory=list)
    score: NumericProfile | None = None
    """Distribution of the model's score over the sample."""
    label_rate: float | None = None
    """Share of positive labels in the sample, where there is a target."""
    segments: list[SegmentRate] = Field(default_factory=list)
