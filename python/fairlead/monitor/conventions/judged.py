"""What a convention says of a column."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from fairlead.schema.comparison import Measure, Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """Measures, the deciding one first. `verdict` None: the effect and its interval decide."""

    measures: list[Measure] = field(default_factory=list)
    verdict: Verdict | None = None


def measured(name: str, value: float) -> Measure:
    """A measure that decides nothing."""
    return Measure(name=name, value=value if math.isfinite(value) else None)


def decided(first: Measure, others: list[Measure], *, drifted: bool) -> Judged:
    """A judgement by a threshold."""
    return Judged([first, *others], Verdict.DRIFTED if drifted else Verdict.STABLE)
