"""The asymptotic confidence sequence: for means of anything with a variance, once there are enough units.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences" (arXiv 2103.06476). Its promise holds in the limit only; below some hundred units an arm it is none, so it
serves where no bound on the outcome is known, and to check others' figures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fairlead.rollout.evidence.arguments import Floats, numbers, positive, probability, require


def asymptotic_radius(
    n: ArrayLike, standard_error: ArrayLike, alpha: float, n_tuned: float = 5_000, *, one_sided: bool = False
) -> Floats:
    """Half width of the interval around a mean whose `standard_error` after `n` units is known; tightest near
    `n_tuned`.
    """
    n, error = numbers("n", n), numbers("standard_error", standard_error)
    require(bool((n > 0).all()), "n", "above 0", n.min() if n.size else None)
    level = 2 * probability("alpha", alpha) if one_sided else probability("alpha", alpha)
    require(level < 1, "alpha", "below 0.5 for one side", alpha)
    precision = (-2 * np.log(level) + np.log1p(-2 * np.log(level))) / positive("n_tuned", n_tuned)
    scaled = n * precision
    inner = np.log1p(np.sqrt(scaled + 1) / level) if one_sided else np.log(np.sqrt(scaled + 1) / level)
    return np.asarray(error * np.sqrt(n) * np.sqrt(2 * (scaled + 1) / (n**2 * precision) * inner), dtype=np.float64)
