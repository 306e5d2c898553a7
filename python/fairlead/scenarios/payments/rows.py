"""Payments before they are sorted into a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rows:
    """Payments in no particular order; arrays of one length."""

    second: NDArray[np.int64]
    """Since the stream's start."""
    card: NDArray[np.int64]
    merchant: NDArray[np.int64]
    cents: NDArray[np.int64]
    ship: NDArray[np.int8]
    new_device: NDArray[np.bool_]
    scenario: NDArray[np.int8]
    """0, or the `FraudKind`."""

    def __len__(self) -> int:
        """Number of payments."""
        return len(self.second)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Rows:
        """The payments at `index`, in its order."""
        return Rows(*(getattr(self, field.name)[index] for field in fields(self)))

    def marked(self, index: NDArray[np.int64], scenario: int) -> Rows:
        """The same payments, those at `index` as fraud of that kind."""
        changed = self.scenario.copy()
        changed[index] = scenario
        return replace(self, scenario=changed)


def concatenate(parts: Sequence[Rows]) -> Rows:
    """All rows of all parts, in order."""
    return Rows(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Rows)))


def cents(euro: NDArray[np.float64]) -> NDArray[np.int64]:
    """Euro to whole cents, at least 50."""
    return np.maximum(np.rint(euro * 100.0), 50.0).astype(np.int64)
