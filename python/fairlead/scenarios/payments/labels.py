"""When the truth becomes known: chargebacks arrive weeks later, or never."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REPORTED_SHARE = 0.92
QUICK_SHARE = 0.15
FRIENDLY_SHARE = 0.0003
"""Share of legitimate online payments that are charged back all the same."""
LONGEST_DAYS = 120.0


def report_delay_days(
    rng: np.random.Generator, fraud: NDArray[np.bool_], online: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Days from each payment to its chargeback, if it was approved; NaN: never. Shape of `fraud`."""
    lot = rng.random(len(fraud))
    reported = np.where(fraud, lot < REPORTED_SHARE, online & (lot < FRIENDLY_SHARE))
    quick = rng.exponential(0.5, len(fraud))
    slow = rng.lognormal(np.log(14.0), 0.9, len(fraud))
    delay = np.where(rng.random(len(fraud)) < QUICK_SHARE, quick, slow)
    return np.where(reported, np.minimum(delay, LONGEST_DAYS), np.nan)
