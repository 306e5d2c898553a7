"""Outcomes: what became of a prediction, told later: ground truth, or what a person said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from fairlead.schema.base import Document
from fairlead.schema.bundle import BundleName
from fairlead.schema.registry import Microseconds
from fairlead.schema.signature import Scalar

MOST_OUTCOMES = 10_000
"""In one batch."""
LONGEST_LABEL = 1_000
DEFAULT_SOURCE = "default"

PredictionId = Annotated[
    str,
    Field(pattern=r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"),
    AfterValidator(str.lower),
]
"""As the endpoint gave it with its answer."""
Source = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


def _short(label: Scalar) -> Scalar:
    if isinstance(label, str) and len(label) > LONGEST_LABEL:
        raise ValueError(f"at most {LONGEST_LABEL} characters")
    return label


class OutcomeReport(Document):
    """One outcome, as it is sent."""

    prediction_id: PredictionId
    label: Annotated[Scalar, AfterValidator(_short)]
    """One of the labels of the endpoint's models, or its text; a number where the model is a regression."""
    source: Source | None = None
    """Who says so (`chargebacks`, `analysts`); None: the batch's."""
    reported_at: datetime | None = None
    """When it became known where it comes from; without an offset: UTC. None: now."""

    @property
    def reported_us(self) -> int | None:
        """`reported_at` in microseconds since 1970."""
        if self.reported_at is None:
            return None
        aware = self.reported_at if self.reported_at.tzinfo is not None else self.reported_at.replace(tzinfo=UTC)
        since = aware - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class OutcomeBatch(Document):
    """Outcomes of one endpoint, kept whole or not at all. What was known already changes nothing."""

    outcomes: list[OutcomeReport] = Field(min_length=1, max_length=MOST_OUTCOMES)
    source: Source = DEFAULT_SOURCE
    """Of those that do not name their own."""


class OutcomeReceipt(Document):
    """What became of a batch, in numbers of outcomes."""

    new: int
    corrected: int
    """Had another label: kept as a further revision, which counts from now on."""
    known: int
    """Were there already, with this label."""


class OutcomeRecord(Document):
    """One revision of what a source said of a prediction."""

    id: int
    """Grows in the order of arrival within an endpoint."""
    endpoint: BundleName
    prediction_id: str
    source: str
    revision: int = Field(ge=1)
    """Grows with every correction; the highest counts."""
    label: Scalar
    reported_us: Microseconds
    received_us: Microseconds
    received_by: str


def label_text(label: Scalar) -> str:
    """Return a label as the prediction log has it in the column `decision`."""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)


def label_place(label: Scalar, labels: Sequence[Scalar]) -> int | None:
    """Return which of `labels` this is: the same value (True is not 1), or its text; None where it is none of them."""
    for place, one in enumerate(labels):
        if isinstance(one, bool) == isinstance(label, bool) and one == label:
            return place
    if isinstance(label, str):
        return next((place for place, one in enumerate(labels) if label_text(one) == label), None)
    return None
