"""How well a binary classifier does: estimated from its scores before labels are known, and from labels when they are.

Confidence-based performance estimation: if a score means what it meant in the reference, so many rows of each score are
positive, and with them the confusion matrix, its ratios and the area under the ROC curve are known in expectation.
Source: NannyML's documentation and code of CBPE, where rows are kept; here counts by score and decision are all that is
kept, so replicas add up. Where a bin holds one score, or scores of one calibrated probability, nothing is lost by it.

It assumes that a score still means what it meant: **it is blind to concept drift**. `outcome_streams` look for that, as
labels come in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fairlead.monitor.sequential.arguments import Floats, Integers, counts, require
from fairlead.monitor.sequential.detector import Tick
from fairlead.monitor.sequential.streams import Stream

POSITIVE, NEGATIVE = "positive", "negative"
_OUTCOME = "outcome in score bin {}"


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows by bin of the score, from low to high, and decision: shape (bins, 2), the positive decision last.

    The same of positive labels where they are known; then `rows` are those whose label is known.
    """

    rows: Integers
    positives: Integers | None = None

    def __post_init__(self) -> None:
        _table("rows", self.rows)
        if self.positives is not None:
            require(self.positives.shape == self.rows.shape, "positives", f"{self.rows.shape}", self.positives.shape)
            more = self.positives > self.rows
            require(not more.any(), "positives", "at most as many as rows", self.positives[more][:1])

    def __add__(self, other: Scored) -> Scored:
        """Of two replicas, or two periods. Both know labels, or neither."""
        require(self.rows.shape == other.rows.shape, "rows", f"{self.rows.shape}", other.rows.shape)
        require((self.positives is None) == (other.positives is None), "positives", "in both or in neither", "in one")
        if self.positives is None or other.positives is None:
            return Scored(self.rows + other.rows)
        return Scored(self.rows + other.rows, self.positives + other.positives)


def scored(rows: ArrayLike, positives: ArrayLike | None = None) -> Scored:
    """`Scored` of whole numbers. Raises `BadInputError` for others."""
    return Scored(counts("rows", rows), None if positives is None else counts("positives", positives))


@dataclass(frozen=True, slots=True)
class Performance:
    """What follows from a confusion matrix and the order of scores; None where a ratio has nothing below its line."""

    rows: int
    true_positives: float
    false_positives: float
    false_negatives: float
    true_negatives: float
    roc_auc: float | None
    average_precision: float | None

    @property
    def accuracy(self) -> float | None:
        """Share of right decisions."""
        return _ratio(self.true_positives + self.true_negatives, self.rows)

    @property
    def precision(self) -> float | None:
        """Share of the positive among those decided positive."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float | None:
        """Share of those decided positive among the positive."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> float | None:
        """Share of those decided negative among the negative."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        wrong = (self.false_positives + self.false_negatives) / 2
        return _ratio(self.true_positives, self.true_positives + wrong)


def calibrated(reference: Scored) -> Floats:
    """The probability of a positive label in each bin, never falling with the score: isotonic regression of the
    reference, shape (bins,). A bin without rows takes the probability between its neighbours'.
    """
    rows, positives = _labels("reference", reference)
    require(bool(rows.sum() > 0), "reference", "1 row or more", "none")
    filled = np.flatnonzero(rows)
    levels = _never_falling(positives[filled] / rows[filled], rows[filled].astype(np.float64))
    return np.asarray(np.interp(np.arange(len(rows)), filled, levels), dtype=np.float64)


def estimated(live: Scored, probability: Floats) -> Performance:
    """The expected performance of `live` rows, whose labels are not known; `probability` as from `calibrated`."""
    require(probability.shape == live.rows.shape[:1], "probability", f"{live.rows.shape[0]} bins", probability.shape)
    return _performance(live.rows, live.rows * probability[:, None])


def realised(live: Scored) -> Performance:
    """The performance of rows whose labels are known."""
    require(live.positives is not None, "live", "labels", "none")
    assert live.positives is not None
    return _performance(live.rows, live.positives.astype(np.float64))


def accuracy_error(live: Scored, probability: Floats) -> float | None:
    """The standard error of the realised accuracy around the estimated one, if the estimate's assumption holds: that
    of independent labels with the probabilities of their bins.
    """
    total = int(live.rows.sum())
    variance = float((live.rows.sum(axis=1) * probability * (1 - probability)).sum())
    return None if total == 0 else variance**0.5 / total


def outcome_streams(reference: Scored) -> list[Stream]:
    """Streams of labels for `sequential.detector`, one for each bin of the score that the reference has: is the share
    of positive labels what it was *for rows with this score*? If not, that is concept drift, which no count of inputs
    shows. The promise is then in rows with labels.
    """
    rows, positives = _labels("reference", reference)
    cells = np.stack([positives, rows - positives], axis=1)
    return [Stream(_OUTCOME.format(k), (POSITIVE, NEGATIVE), cells[k : k + 1]) for k in np.flatnonzero(rows).tolist()]


def outcome_tick(live: Scored, reference: Scored) -> Tick:
    """The labels of one tick for the detector of `outcome_streams`. Bins that the reference lacks are left out."""
    rows, positives = _labels("live", live)
    known, _ = _labels("reference", reference)
    require(rows.shape == known.shape, "live", f"{len(known)} bins", len(rows))
    bins = np.flatnonzero(known).tolist()
    seen = {_OUTCOME.format(k): [int(positives[k]), int(rows[k] - positives[k])] for k in bins}
    return Tick(int(rows[bins].sum()), seen)


def _labels(name: str, table: Scored) -> tuple[Integers, Integers]:
    """Rows and positives by bin."""
    require(table.positives is not None, name, "labels", "none")
    assert table.positives is not None
    return table.rows.sum(axis=1), table.positives.sum(axis=1)


def _performance(rows: Integers, positives: Floats) -> Performance:
    negatives = rows - positives
    by_score, against = positives.sum(axis=1)[::-1], negatives.sum(axis=1)[::-1]
    hits, misses = np.cumsum(by_score), np.cumsum(against)
    area = float((against * (hits - by_score / 2)).sum())
    seen = hits + misses
    steps = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0) * by_score
    return Performance(
        rows=int(rows.sum()),
        true_positives=float(positives[:, 1].sum()),
        false_positives=float(negatives[:, 1].sum()),
        false_negatives=float(positives[:, 0].sum()),
        true_negatives=float(negatives[:, 0].sum()),
        roc_auc=_ratio(area, float(hits[-1] * misses[-1])),
        average_precision=_ratio(float(steps.sum()), float(hits[-1])),
    )


def _never_falling(values: Floats, weights: Floats) -> Floats:
    """Isotonic regression: neighbours that fall are pooled (Ayer, Brunk, Ewing, Reid and Silverman 1955)."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, bins
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] >= pool[0]:
            mean, heavy, size = pools.pop()
            both = heavy + pool[1]
            pool = ((mean * heavy + pool[0] * pool[1]) / both, both, size + pool[2])
        pools.append(pool)
    return np.repeat([mean for mean, _, _ in pools], [size for _, _, size in pools])


def _table(name: str, rows: Integers) -> None:
    require(rows.ndim == 2 and rows.shape[1] == 2 and len(rows) > 0, name, "shape (bins, 2)", rows.shape)


def _ratio(above: float, below: float) -> float | None:
    return above / below if below > 0 else None
