"""Streams to test with: numbers in tenths of a normal distribution, and categories."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fairlead.monitor.sequential.streams import INVALID, MISSING, OTHER, UNSEEN, Stream, stream

TENTHS = 10
EXACT = 10**12
"""Rows of a reference that has no error of its own worth mentioning."""
NUMBER_CELLS = (*(f"tenth {i}" for i in range(TENTHS)), MISSING, INVALID)
CATEGORY_CELLS = ("= web", "= shop", "= phone", OTHER, MISSING, INVALID, UNSEEN)
CATEGORY_SHARES = np.array([0.6, 0.3, 0.07, 0.02, 0.01, 0, 0])

Shares = NDArray[np.float64]


def number_shares(shift: float = 0, scale: float = 1, missing: float = 0.01) -> Shares:
    """Cells of a normal distribution that moved and spread; edges are the tenths of one that did not."""
    edges = stats.norm.ppf(np.arange(1, TENTHS) / TENTHS)
    below = np.concatenate([[0], stats.norm.cdf((edges - shift) / scale), [1]])
    return np.concatenate([np.diff(below) * (1 - missing), [missing, 0]])


def counted(shares: Shares, rows: int) -> NDArray[np.int64]:
    """Rows as near to their expectation as whole numbers are."""
    found = np.floor(shares * rows).astype(np.int64)
    found[np.argsort(found - shares * rows, kind="stable")[: rows - found.sum()]] += 1
    return found


def number(name: str = "amount", rows: int = EXACT, weight: float = 1) -> Stream:
    return stream(name, NUMBER_CELLS, counted(number_shares(), rows), ordered=TENTHS, weight=weight)


def category(name: str = "channel", rows: int = EXACT) -> Stream:
    return stream(name, CATEGORY_CELLS, counted(CATEGORY_SHARES, rows))
