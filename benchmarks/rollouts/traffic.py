"""Units that arrive: counts per second of many simulated rollouts at once, drawn instead of played."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

SHARES = (0.05, 0.25, 0.5)
"""Of the challenger: the steps of a ramp, equally long."""
LATENCY_SIGMA = 0.5
"""Of ln latency."""
LATENCY_EDGES = np.concatenate([[0.0], np.exp(np.arange(0.5, 2.2, 0.01)), [np.inf]])
"""Multiples of the median; bins 1 % wide where the p99 may lie, about as fine as the data plane counts."""
SCORE_BINS = 10


@dataclass(frozen=True, slots=True)
class World:
    """A service whose traffic and error rate swing, as by day and night; the challenger is the same model again."""

    units_per_second: float = 30.0
    seconds: int = 1_200
    error_rate: float = 0.005

    def swing(self, second: int) -> float:
        """A wave of one period over the rollout, from -1 to 1."""
        return float(np.sin(2 * np.pi * second / self.seconds))

    def arrivals(self, second: int) -> float:
        """Expected units in this second."""
        return self.units_per_second * (1 + 0.3 * self.swing(second))

    def errors(self, second: int) -> float:
        """Bad outcomes per unit in this second."""
        return self.error_rate * (1 + 0.5 * self.swing(second))

    def epoch(self, second: int) -> int:
        """Which step of the ramp."""
        return min(second * len(SHARES) // self.seconds, len(SHARES) - 1)


def latency_shares(slower: float = 1.0, edges: Floats = LATENCY_EDGES) -> Floats:
    """The probability of each latency bin, if every answer takes `slower` times as long."""
    with np.errstate(divide="ignore"):
        place = (np.log(edges) - np.log(slower)) / LATENCY_SIGMA
    return np.asarray(np.diff(special.ndtr(place)), dtype=np.float64)


def latency_quantile(q: float) -> float:
    """Of the champion."""
    return float(np.exp(LATENCY_SIGMA * special.ndtri(q)))


def beyond_limit(q: float, slower: float) -> float:
    """The probability of an answer slower than the champion's `q`-quantile."""
    return float(special.ndtr(np.log(slower) / LATENCY_SIGMA - special.ndtri(q)))


def score_shares(shift: float = 0.0) -> Floats:
    """The probability of each score bin, tenths of the champion's, if scores move by `shift` of their deviation."""
    edges = special.ndtri(np.linspace(0, 1, SCORE_BINS + 1))
    return np.asarray(np.diff(special.ndtr(edges - shift)), dtype=np.float64)
