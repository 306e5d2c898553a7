"""Whether scores have the same distribution in both arms: before labels, the first sign that a model decides
otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from fairlead.rollout.evidence.arguments import Floats, counts, numbers, probability, require, shares
from fairlead.rollout.evidence.log_space import log_sum
from fairlead.rollout.evidence.ramp import RatioTest, Side
from fairlead.rollout.evidence.stitching import empirical_process_radius

CONCENTRATION = 40.0
"""Of the prior on each bin's rate ratio: between 0.7 and 1.45 nine times in ten. Scores are plenty, shifts are
small.
"""
_TILTS = np.concatenate([sign * np.geomspace(0.03, 2.0, 32) for sign in (-1, 1)])
"""Strengths of the bets on a shape, on either side of none."""
_STAKES = np.array([0.3, 0.5, 0.2])
"""On every bin by itself, on scores that moved, on scores that spread."""


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


def shift_log_e(share: ArrayLike, challenger: ArrayLike, both: ArrayLike, reference: ArrayLike | None = None) -> Floats:
    """The logarithm of the evidence that scores are distributed otherwise in the challenger.

    Units are counted by the bin of their score: `challenger` and `both` have shape (..., epochs, bins); `share`
    (epochs,) is the challenger's. `reference` (bins,) is the distribution that is expected, from the bundle's
    profile; even bins without it. It moves power, never validity.

    Where the distributions are the same, a unit of any bin is the challenger's with probability `share`. Half of the
    stake goes on scores that moved up or down, a fifth on scores that spread or narrowed (density ratios e^(b s), s
    linear or quadratic in rank), the rest on a ratio for every bin by itself (`ramp`, either side). All three are
    martingales, and so is their sum. Much stronger than the band of `kolmogorov_smirnov`, and exact while the
    distribution drifts in both arms alike. It relies on the router's shares: a sample ratio mismatch shows here too.
    """
    share, mine, all_ = shares("share", share), counts("challenger", challenger), counts("both", both)
    require(mine.ndim >= 2, "challenger", "shape (..., epochs, bins)", f"shape {mine.shape}")
    test = RatioTest(Side.EITHER, 1.0, CONCENTRATION)
    free = test.log_e(share, np.swapaxes(mine, -1, -2), np.swapaxes(all_, -1, -2)).sum(axis=-1)
    expected = _reference(reference, mine.shape[-1])
    rank = 2 * (np.cumsum(expected) - expected / 2) - 1
    moved, spread = (_shape_log_e(share, mine, all_, _tilted(expected, s)) for s in (rank, (3 * rank**2 - 1) / 2))
    parts = np.stack([free, moved, spread], axis=-1)
    return np.asarray(special.logsumexp(parts, axis=-1, b=_STAKES), dtype=np.float64)


def share_log_ratio(share: ArrayLike, challenger: ArrayLike, both: ArrayLike) -> Floats:
    """How much likelier the arms of all units are at the shares that the challenger had than at those intended, as a
    logarithm. Shapes as for `shift_log_e`, from which it may be taken off.

    What is left is evidence that bins differ from each other, whatever the share in each epoch: the numerator of
    `shift_log_e` is a mixture of likelihoods, here over the largest likelihood without a difference, instead of over
    the one at the intended share (universal inference: Wasserman, Ramdas and Balakrishnan, PNAS 2020). That is for
    units which are counted when they are answered: those of a slow challenger come late, and are not shifted.
    """
    share, mine, all_ = shares("share", share), counts("challenger", challenger), counts("both", both)
    first, total = mine.sum(axis=-1), all_.sum(axis=-1)
    second = total - first
    size = np.maximum(total, 1)
    likelier = special.xlogy(first, first / size / share) + special.xlogy(second, second / size / (1 - share))
    return np.asarray(likelier.sum(axis=-1), dtype=np.float64)


def _reference(reference: ArrayLike | None, bins: int) -> Floats:
    if reference is None:
        return np.full(bins, 1 / bins)
    found = numbers("reference", reference)
    require(found.shape == (bins,), "reference", f"{bins} shares", f"shape {found.shape}")
    require(bool((found >= 0).all()) and found.sum() > 0, "reference", "shares from 0, not all 0", found)
    return np.asarray(found / found.sum(), dtype=np.float64)


def _tilted(expected: Floats, shape: Floats) -> Floats:
    """The log density ratio of each bin at each tilt, shape (bins, tilts): e^(b s), scaled to keep the total at 1."""
    raw = shape[:, None] * _TILTS
    with np.errstate(divide="ignore"):
        return np.asarray(raw - special.logsumexp(raw + np.log(expected)[:, None], axis=0), dtype=np.float64)


def _shape_log_e(share: Floats, challenger: Floats, both: Floats, ratio: Floats) -> Floats:
    """The logarithm of the mixture over tilts, all weighed alike: shape (...)."""
    at_risk = np.logaddexp(np.log(share)[:, None, None] + ratio, np.log1p(-share)[:, None, None])
    every = both.reshape(*both.shape[:-2], -1)
    terms = challenger.sum(axis=-2) @ ratio - every @ at_risk.reshape(-1, ratio.shape[-1])
    return np.asarray(log_sum(terms) - np.log(len(_TILTS)), dtype=np.float64)
