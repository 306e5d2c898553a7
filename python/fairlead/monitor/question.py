"""What is asked of two tables."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.monitor.shift import TOLERANCE
from fairlead.schema.comparison import Convention

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of two tables. The level is shared out over all effects."""

    convention: Convention = Convention.FAIRLEAD
    level: float = LEVEL
    tolerance: float = TOLERANCE
    target: str | None = None
    prediction: str | None = None
    positive: str | None = None
    """The label that a score is the probability of; None: 1 or true."""
    cut: float = 0.5
    """From this score on the positive label is decided."""
