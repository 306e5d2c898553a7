"""Performance metrics with their sampling variances, so that a change of one has an interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fairlead.monitor.distances import Floats

Booleans = NDArray[np.bool_]
SMALLEST = 1e-15
"""Probabilities are kept this far from 0 and 1 in the log loss."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric of a sample and the variance that it has by chance, rows independent."""

    value: float
    variance: float
    better: Literal["higher", "lower"] = "higher"


def margin(first: Estimate, second: Estimate, level: float) -> float:
    """Half the width of the interval of the difference; each end holds at `level`."""
    return -NormalDist().inv_cdf(level) * math.sqrt(first.variance + second.variance)


def scores(truth: Booleans, score: Floats, cut: float) -> Mapping[str, Estimate]:
    """Metrics of probabilities; `truth` holds both values."""
    likely = np.clip(score, SMALLEST, 1 - SMALLEST)
    losses = -np.log(np.where(truth, likely, 1 - likely))
    return {
        "auroc": auroc(truth, score),
        "log_loss": mean(losses),
        "brier": mean(np.square(score - truth)),
        **decisions(truth, score >= cut),
    }


def decisions(truth: Booleans, decided: Booleans) -> Mapping[str, Estimate]:
    """Metrics of yes and no; precision and recall only where they are defined."""
    found = {"accuracy": share(truth == decided)}
    if decided.any():
        found["precision"] = share(truth[decided])
    if truth.any():
        found["recall"] = share(decided[truth])
    return found


def labels(right: Booleans) -> Mapping[str, Estimate]:
    """Metrics of one of several labels."""
    return {"accuracy": share(right)}


def regression(target: Floats, prediction: Floats) -> Mapping[str, Estimate]:
    """Metrics of numbers. The variance of the RMSE is that of the mean square by the delta method."""
    errors = prediction - target
    square = mean(np.square(errors))
    root = math.sqrt(square.value)
    return {
        "mae": mean(np.abs(errors)),
        "rmse": Estimate(root, square.variance / (4 * square.value) if root else 0.0, "lower"),
    }


def share(right: Booleans) -> Estimate:
    """Share of true values; its variance with one success and one failure added, so that 0 and 1 are not sure."""
    rows = len(right)
    value = float(right.mean())
    wary = (value * rows + 1) / (rows + 2)
    return Estimate(value, wary * (1 - wary) / (rows + 2))


def mean(losses: Floats) -> Estimate:
    """Mean of losses; lower is better."""
    return Estimate(float(losses.mean()), float(losses.var()) / max(1, len(losses) - 1), "lower")


def auroc(truth: Booleans, score: Floats) -> Estimate:
    """Area under the ROC curve and its variance by DeLong, DeLong and Clarke-Pearson (1988), from ranks."""
    positive, negative = np.sort(score[truth]), np.sort(score[~truth])
    above = _placed(positive, negative)
    below = 1.0 - _placed(negative, positive)
    variance = sum(float(one.var()) / max(1, len(one) - 1) for one in (above, below))
    return Estimate(float(above.mean()), variance)


def _placed(values: Floats, others: Floats) -> Floats:
    """For each value, the share of the sorted others below it, ties counted half."""
    low, high = np.searchsorted(others, values, "left"), np.searchsorted(others, values, "right")
    return np.asarray((low + high) / (2.0 * len(others)))
