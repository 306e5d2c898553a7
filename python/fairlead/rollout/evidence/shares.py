"""Whether the router splits as it was told: the sample ratio test that may be looked at after every unit.

Source: Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022. Under inhomogeneous
arrivals the arm of the next unit is still multinomial, so time of day cancels and counts per arm are enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from fairlead.rollout.evidence.arguments import Floats, counts, numbers, positive, require, shares

CONCENTRATION = 10_000.0
"""Prior weight, in units, on the intended shares: a router's faults are small against its shares, not anything at
all.
"""


def mismatch_log_e(counted: ArrayLike, intended: ArrayLike, concentration: float = CONCENTRATION) -> Floats:
    """The logarithm of the evidence that units do not fall to arms in the `intended` shares.

    `counted`: units per arm so far, shape (..., arms); or (..., epochs, arms) with `intended` of shape (epochs, arms),
    which multiplies the epochs' evidence. `intended` sums to 1 over arms.
    """
    intended = shares("intended", intended)
    return multinomial_log_e(counted, intended, positive("concentration", concentration) * intended)


def multinomial_log_e(counted: ArrayLike, intended: ArrayLike, prior: ArrayLike) -> Floats:
    """As `mismatch_log_e`, with any Dirichlet `prior`, of the shape of `intended`."""
    counted, intended, prior = counts("counted", counted), shares("intended", intended), numbers("prior", prior)
    require(bool((prior > 0).all()), "prior", "numbers above 0", prior.min())
    total = intended.sum(axis=-1)
    require(bool(np.allclose(total, 1, rtol=0, atol=1e-9)), "intended", "shares that sum to 1", total)
    fits = counted.shape[-intended.ndim :] == intended.shape
    require(fits, "counted", f"shape (..., {', '.join(map(str, intended.shape))})", counted.shape)
    value = _log_multivariate_beta(prior + counted) - _log_multivariate_beta(prior)
    value = value - (counted * np.log(intended)).sum(axis=-1)
    return np.asarray(value.sum(axis=-1) if intended.ndim == 2 else value, dtype=np.float64)


def sequential_p(log_e: ArrayLike, axis: int = -1) -> Floats:
    """The p-value after each look, from the path of ln e along `axis`: 1 over the largest e so far, at most 1."""
    path = np.maximum.accumulate(np.asarray(log_e, dtype=np.float64), axis=axis)
    return np.asarray(np.exp(-np.maximum(path, 0)), dtype=np.float64)


def _log_multivariate_beta(parameters: Floats) -> Floats:
    value = special.gammaln(parameters).sum(axis=-1) - special.gammaln(parameters.sum(axis=-1))
    return np.asarray(value, dtype=np.float64)
