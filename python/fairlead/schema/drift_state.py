"""What a drift detector keeps between ticks, so that one that is restarted goes on where it was."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fairlead.schema.base import Document


class DriftBlock(Document):
    """Counts of some ticks in a row."""

    start: int = Field(ge=0)
    """Rows before it."""
    rows: int = Field(ge=0)
    season_rows: list[int]
    counts: list[int]
    """Cells of all streams, one after the other."""


class DriftState(Document):
    """Evidence so far, and of which detector: with other streams, another reference or promise it means nothing."""

    schema_version: Literal[1] = 1
    detector: str
    """Digest of the streams, their reference and the promise."""
    rows: int = Field(ge=0)
    ticks: int = Field(ge=0)
    log_r: list[float]
    """Logarithm of each bet's evidence."""
    log_best: list[float]
    """... from its likeliest beginning."""
    begun: list[int]
    """Rows before that beginning."""
    blocks: list[DriftBlock] = Field(default_factory=list)
