"""Many guardrails, many slices: how evidence is put together without losing the promise.

*Roll back* if any guardrail shows harm: a union, so the level is divided. *Promote* if every guardrail shows safety: an
intersection of tests, so each keeps the full level (Berger 1982), and it is power that is multiplied. Lists of slices:
e-BH, which needs no assumption on dependence (Wang and Ramdas, "False discovery rate control with e-values", JRSSB
2022).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from fairlead.rollout.evidence.arguments import Floats, numbers, probability, require


def divided(alpha: float, weights: ArrayLike) -> Floats:
    """The level of each guardrail: `alpha` in proportion to its weight."""
    weights = numbers("weights", weights)
    require(weights.size > 0 and bool((weights > 0).all()), "weights", "one or more numbers above 0", weights)
    return np.asarray(probability("alpha", alpha) * weights / weights.sum(), dtype=np.float64)


def harmful(log_e: ArrayLike, alpha: float, weights: ArrayLike | None = None) -> NDArray[np.bool_]:
    """Which guardrails (last axis) show harm, wrongly any with probability at most `alpha` over the whole rollout."""
    log_e = _log_e(log_e)
    levels = divided(alpha, np.ones(log_e.shape[-1]) if weights is None else weights)
    require(levels.shape == log_e.shape[-1:], "weights", f"{log_e.shape[-1]} numbers", levels.size)
    return np.asarray(log_e >= -np.log(levels), dtype=np.bool_)


def all_safe(log_e: ArrayLike, alpha: float) -> NDArray[np.bool_]:
    """Whether every guardrail (last axis) shows safety: wrong with probability at most `alpha`, with no correction."""
    return np.asarray((_log_e(log_e) >= -np.log(probability("alpha", alpha))).all(axis=-1), dtype=np.bool_)


def averaged(log_e: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """The logarithm of the weighted mean of e-values over the last axis: an e-value for `all nulls hold`, under any
    dependence.
    """
    log_e = _log_e(log_e)
    weights = np.ones(log_e.shape[-1]) if weights is None else numbers("weights", weights)
    require(weights.shape == log_e.shape[-1:], "weights", f"{log_e.shape[-1]} numbers", weights.size)
    require(bool((weights >= 0).all()) and weights.sum() > 0, "weights", "numbers from 0, not all 0", weights)
    return np.asarray(special.logsumexp(log_e, axis=-1, b=weights / weights.sum()), dtype=np.float64)


def discoveries(log_e: ArrayLike, alpha: float, size: int | None = None) -> NDArray[np.bool_]:
    """Which of the slices (one axis) to report, with at most a share `alpha` of false ones in expectation (e-BH).

    `size` slices there can be, if more than are given: the evidence on the others is 1.
    """
    log_e, given = _slices(log_e, size)
    order = np.argsort(-log_e, kind="stable")
    passing = np.flatnonzero(_of_best(log_e[order]) >= -np.log(probability("alpha", alpha)))
    found = np.zeros(len(log_e), dtype=np.bool_)
    if passing.size:
        found[order[: passing[-1] + 1]] = True
    return found[:given]


def strongest(log_e: ArrayLike, size: int | None = None) -> float:
    """The logarithm of an e-value for `no slice is harmed`: at least 1 / alpha exactly where `discoveries` reports any.

    The k-th largest e-value times k over `size`, for the best k: never more than the mean of all.
    """
    log_e, _ = _slices(log_e, size)
    return float(_of_best(-np.sort(-log_e)).max())


def _of_best(log_e: Floats) -> Floats:
    """ln(k e / K) of the k-th of K e-values in descending order."""
    size = len(log_e)
    return np.asarray(log_e + np.log(np.arange(1, size + 1)) - np.log(size), dtype=np.float64)


def _slices(values: ArrayLike, size: int | None) -> tuple[Floats, int]:
    """All `size` logarithms, and how many were given."""
    log_e = _log_e(values)
    require(log_e.ndim == 1, "log_e", "one axis", f"{log_e.ndim} axes")
    given = len(log_e)
    require(size is None or size >= given, "size", f"at least {given}", size)
    return np.concatenate([log_e, np.zeros((size or given) - given)]), given


def _log_e(values: ArrayLike) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    require(found.ndim >= 1 and found.shape[-1] > 0, "log_e", "one value or more", f"shape {found.shape}")
    require(not np.isnan(found).any(), "log_e", "numbers", "NaN")
    return found
