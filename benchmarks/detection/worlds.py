"""What is simulated: numbers, numbers that may be missing, scores; and how they change.

`peer/measure.py` draws values of the same distributions for the peers: `Case.as_json` tells it which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fairlead.monitor.sequential.streams import INVALID, MISSING, Stream, stream

Floats = NDArray[np.float64]
Kind = Literal["number", "missing", "score"]

TENTHS = np.asarray(stats.norm.ppf(np.arange(1, 10) / 10))
SCORE_EDGES = np.arange(1, 20) / 20
NUMBER_CELLS = (*(f"tenth {i}" for i in range(10)), MISSING, INVALID)
SCORE_CELLS = (*(f"twentieth {i}" for i in range(20)), INVALID)
MISSING_RATE, FRAUD_RATE = 0.01, 0.1
GENUINE, FRAUDULENT = (2.0, 8.0), (8.0, 2.0)
"""Beta distributions of the scores of either class."""


@dataclass(frozen=True, slots=True)
class Case:
    """A change of one stream, by itself or among others that do not change."""

    name: str
    kind: Kind = "number"
    shift: float = 0.0
    scale: float = 1.0
    missing: float = MISSING_RATE
    fraud: float = FRAUD_RATE
    ramp: int = 0
    """Rows over which the change comes about evenly; 0: at once."""
    streams: int = 1

    def at(self, row: int) -> Floats:
        """Shares of the cells at a row after the change began."""
        part = 1.0 if self.ramp == 0 else min(row / self.ramp, 1.0)
        if self.kind == "score":
            return score_shares(FRAUD_RATE + part * (self.fraud - FRAUD_RATE))
        missing = MISSING_RATE + part * (self.missing - MISSING_RATE)
        return number_shares(part * self.shift, 1 + part * (self.scale - 1), missing)

    def as_json(self) -> dict[str, Any]:
        """For `peer/measure.py`."""
        names = ("name", "kind", "shift", "scale", "missing", "fraud", "ramp", "streams")
        return {name: getattr(self, name) for name in names}


CASES = (
    Case("numbers move by 0.2 deviations", shift=0.2),
    Case("numbers move by 0.3 deviations", shift=0.3),
    Case("numbers move by 0.5 deviations", shift=0.5),
    Case("numbers move by 1 deviation", shift=1.0),
    Case("numbers spread 1.5 times", scale=1.5),
    Case("numbers move by 0.5 deviations over 5,000 rows", shift=0.5, ramp=5_000),
    Case("missing values 1 % -> 5 %", "missing", missing=0.05),
    Case("frauds among the scores 10 % -> 20 %", "score", fraud=0.2),
    Case("one feature of 30 moves by 0.5 deviations", shift=0.5, streams=30),
)


def number_shares(shift: float = 0.0, scale: float = 1.0, missing: float = MISSING_RATE) -> Floats:
    """Cells of a normal distribution that moved and spread, on the tenths of one that did not."""
    below = np.concatenate([[0.0], stats.norm.cdf((TENTHS - shift) / scale), [1.0]])
    return np.concatenate([np.diff(below) * (1 - missing), [missing, 0.0]])


def score_shares(fraud: float = FRAUD_RATE) -> Floats:
    """Scores of a mixture of the classes, in equal bins."""
    below = (1 - fraud) * stats.beta.cdf(SCORE_EDGES, *GENUINE) + fraud * stats.beta.cdf(SCORE_EDGES, *FRAUDULENT)
    return np.concatenate([np.diff(np.concatenate([[0.0], below, [1.0]])), [0.0]])


def usual(kind: Kind) -> Floats:
    """Shares before any change."""
    return score_shares() if kind == "score" else number_shares()


def watched(name: str, kind: Kind, reference: NDArray[np.int64]) -> Stream:
    """The stream, with a reference of shape (cells,) or (seasons, cells)."""
    if kind == "score":
        return stream(name, SCORE_CELLS, reference, ordered=20)
    return stream(name, NUMBER_CELLS, reference, ordered=10)


def sampled(rng: np.random.Generator, kind: Kind, rows: int, streams: int = 1) -> list[Stream]:
    """Streams whose references are samples of what is usual."""
    return [watched(f"{kind} {i}", kind, rng.multinomial(rows, usual(kind))) for i in range(streams)]


def known(kind: Kind, streams: int = 1) -> list[Stream]:
    """Streams whose references have no error worth mentioning: a million million rows."""
    return [watched(f"{kind} {i}", kind, np.rint(usual(kind) * 1e12).astype(np.int64)) for i in range(streams)]
