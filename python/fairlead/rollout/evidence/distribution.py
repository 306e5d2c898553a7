"""Whether scores have the same distribution in both arms: before labels, the first sign that a model decides
differently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fairlead.rollout.evidence.arguments import Floats, counts, probability, require
from fairlead.rollout.evidence.ramp import RatioTest, Side
from fairlead.rollout.evidence.stitching import empirical_process_radius

CONCENTRATION = 40.0
"""Of the prior on each bin's rate ratio: between 0.77 and 1.3 nine times in ten. Scores are plenty, shifts are
small.
"""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far two empirical distribution functions are apart, and how far they would be by chance, ever."""

    distance: float
    radius: float

    @property
    def differs(self) -> bool:
        """Whether the distributions differ, at the level that `radius` was made for."""
        return self.distance > self.radius


def kolmogorov_smirnov(champion: ArrayLike, challenger: ArrayLike, alpha: float, t_min: float = 100) -> Distance:
    """The sequential Kolmogorov-Smirnov test on counts in the same bins, each of shape (bins,).

    Binning only brings the distributions nearer, so the level holds for scores in any bins. Source: Howard and Ramdas
    2022, section 7.2: each arm's band gets half of `alpha`, and the distance must exceed the sum of both.
    """
    first, second = counts("champion", champion), counts("challenger", challenger)
    require(first.ndim == 1 and first.size > 0, "champion", "one count for each bin", f"shape {first.shape}")
    require(first.shape == second.shape, "challenger", f"shape {first.shape}", second.shape)
    sizes = np.array([first.sum(), second.sum()])
    radius = empirical_process_radius(sizes, probability("alpha", alpha) / 2, t_min).sum()
    if (sizes == 0).any():
        return Distance(0.0, np.inf)
    gap = np.abs(np.cumsum(first) / sizes[0] - np.cumsum(second) / sizes[1]).max()
    return Distance(float(gap), float(radius))


def shift_log_e(
    share: ArrayLike, challenger: ArrayLike, both: ArrayLike, concentration: float = CONCENTRATION
) -> Floats:
    """The logarithm of the evidence that scores are distributed otherwise in the challenger; from counts in bins,
    over epochs.

    `challenger` and `both` have shape (..., epochs, bins) and count units; `share` (epochs,) is the challenger's.
    Where the distributions are the same, the arm of a unit is independent of its score's bin: a unit is the
    challenger's with probability `share` in every bin. Each bin bets on a ratio of its own (`ramp`, either side);
    the product is a martingale. Much stronger than the band of `kolmogorov_smirnov`, and it uses the router's
    shares: a sample ratio mismatch shows here too.
    """
    mine, all_ = counts("challenger", challenger), counts("both", both)
    require(mine.ndim >= 2, "challenger", "shape (..., epochs, bins)", f"shape {mine.shape}")
    test = RatioTest(Side.EITHER, 1.0, concentration)
    per_bin = test.log_e(share, np.swapaxes(mine, -1, -2), np.swapaxes(all_, -1, -2))
    return np.asarray(per_bin.sum(axis=-1), dtype=np.float64)
