"""How far the truth may be from what a finite reference shows, and how far live traffic may be from the truth.

A reference of M rows has its own error, and a detector that takes it for the truth alarms by itself: see
docs/concepts/drift-detection.md. Here every share and mean that a bet relies on is replaced by a confidence limit; all
limits together hold with probability 1 - `risk`, and given that they hold, what follows is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from fairlead.monitor.sequential.arguments import Floats, require

_STEPS = 64
"""Of a bisection over the logarithm of a positive number: enough for every bit."""


def share_limits(reference: ArrayLike, alpha: float) -> tuple[Floats, Floats]:
    """Lower and upper limit of each cell's true share, each exceeded with probability at most `alpha`.

    `reference`: rows, shape (..., cells). Clopper and Pearson 1934: exact for cells chosen before counting. Of cells
    between order statistics of the reference itself, shares are Beta(m, M - m + 1)-distributed, or Beta(m + 1, M - m)
    at the ends, and the same limits hold.
    """
    require(0 < alpha < 1, "alpha", "a number strictly between 0 and 1", alpha)
    m = np.asarray(reference, dtype=np.float64)
    rest = m.sum(axis=-1, keepdims=True) - m
    lower = np.where(m > 0, special.betaincinv(np.maximum(m, 1), rest + 1, alpha), 0.0)
    upper = np.where(rest > 0, special.betainccinv(m + 1, np.maximum(rest, 1), alpha), 1.0)
    return lower, upper


def mean_limit(reference: ArrayLike, values: ArrayLike, alpha: float) -> Floats:
    """Upper limit of the mean of `values` (..., cells) under the true shares, exceeded with probability <= `alpha`.

    The largest mean under shares q with M KL(reference || q) <= ln(e (M + 2) / alpha): Cappe, Garivier, Maillard, Munos
    and Stoltz, "Kullback-Leibler upper confidence bounds for optimal sequential allocation", Annals of Statistics 2013,
    of values fixed beforehand, for any M. Between order statistics of the reference itself shares are
    Dirichlet-distributed, and Chernoff's bound gives the same with less than e (M + 2). The maximum is attained at q
    proportional to reference / (g - values), for a g above all values that is found by bisection; what the largest
    value lacks then goes there.
    """
    require(0 < alpha < 1, "alpha", "a number strictly between 0 and 1", alpha)
    m, v = np.broadcast_arrays(np.asarray(reference, dtype=np.float64), np.asarray(values, dtype=np.float64))
    rows = np.maximum(m.sum(axis=-1), 1)
    budget = (1 + np.log(rows + 2) - np.log(alpha)) / rows
    share, top = m / rows[..., None], v.max(axis=-1)
    span = np.maximum(top - v.min(axis=-1), 1e-300)
    low, high = np.full_like(top, -60.0), np.full_like(top, 60.0)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        spent = _divergence(share, _gaps(v, top, span, middle))
        low, high = np.where(spent > budget, middle, low), np.where(spent > budget, high, middle)
    gaps = _gaps(v, top, span, high)
    raised = share / gaps
    mean = (raised * v).sum(axis=-1) / raised.sum(axis=-1)
    left = np.clip(budget - _divergence(share, gaps), 0.0, None)
    return np.asarray(top - (top - mean) * np.exp(-left), dtype=np.float64)


def tolerant(values: Floats, centre: ArrayLike, tolerance: float) -> Floats:
    """Values whose mean under the true shares bounds the mean of `values` under all that is tolerated.

    Tolerated: each cell's share between 1 / (1 + `tolerance`) and 1 + `tolerance` times the true one. The linear
    programme's dual: for any `centre` c, E[r v] <= E[c + (1 + t) (v - c)+ - (v - c)- / (1 + t)] where E[r] = 1. It is
    tight at the c of `best_centre`.
    """
    away = values - np.asarray(centre)[..., None]
    return np.asarray(
        values - away + np.where(away > 0, away * (1 + tolerance), away / (1 + tolerance)), dtype=np.float64
    )


def best_centre(reference: ArrayLike, values: Floats, tolerance: float) -> Floats:
    """The one of `values` (..., cells) that makes `tolerant` tightest under the reference's shares."""
    m, v = np.broadcast_arrays(np.asarray(reference, dtype=np.float64), values)
    means = np.stack([(m * tolerant(v, v[..., k], tolerance)).sum(axis=-1) for k in range(v.shape[-1])], axis=-1)
    best = means.argmin(axis=-1)
    return np.asarray(np.take_along_axis(v, best[..., None], axis=-1)[..., 0], dtype=np.float64)


def _gaps(values: Floats, top: Floats, span: Floats, log_gap: Floats) -> Floats:
    """By how much each value is below the g that is e^`log_gap` spans above the largest."""
    return np.asarray(top[..., None] - values + (span * np.exp(log_gap))[..., None], dtype=np.float64)


def _divergence(share: Floats, gaps: Floats) -> Floats:
    """KL(share || q) of q proportional to share / gaps."""
    return np.asarray((share * np.log(gaps)).sum(axis=-1) + np.log((share / gaps).sum(axis=-1)), dtype=np.float64)
