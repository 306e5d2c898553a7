"""Compare two models on the same rows: how far their scores differ, and how many decisions change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fairlead.bundle.sample import Array
from fairlead.errors import BundleError
from fairlead.schema.bundle import ParityReport
from fairlead.schema.signature import Decision, Task, TensorSpec

DEFAULT_TOLERANCE = 1e-4
"""A hundredth of a percentage point of a probability: float32 sums of some hundred trees stay ten times below it, a
row that takes another branch of one tree lies above it."""
PARITY_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Compared:
    """Which outputs count, and how much they may differ."""

    decision: Decision | None
    outputs: list[TensorSpec]
    tolerance: float

    def score_names(self) -> list[str]:
        """Return the outputs to compare: the decision's score, else every output that is a fraction."""
        if self.decision is not None:
            return [self.decision.score_output]
        return [spec.name for spec in self.outputs if spec.datatype.value.startswith("FP")]


def scores(decision: Decision, outputs: Mapping[str, Array]) -> Array:
    """Return one score per row (binary, regression), or one per row and class (multiclass), as float64."""
    values = np.asarray(outputs[decision.score_output], dtype=np.float64)
    if decision.task is Task.MULTICLASS or values.ndim == 1:
        return values
    return values[:, decision.score_column]


def decided(decision: Decision, outputs: Mapping[str, Array]) -> Array | None:
    """Return the index of each row's label, None for a regression."""
    if decision.task is Task.REGRESSION:
        return None
    found = scores(decision, outputs)
    if decision.task is Task.MULTICLASS:
        return np.asarray(found.argmax(axis=1))
    assert decision.threshold is not None
    return np.asarray(found >= decision.threshold).astype(np.int64)


def compare(original: Mapping[str, Array], converted: Mapping[str, Array], how: Compared) -> ParityReport:
    """Return the parity report of two sets of outputs for the same rows.

    The tolerance is absolute for probabilities; for a regression it is multiplied by the largest |original|, if that
    is above 1, because float32 is as exact as its values are large.
    """
    largest, scale, rows = 0.0, 1.0, 0
    for name in how.score_names():
        before = np.asarray(original[name], dtype=np.float64)
        after = np.asarray(converted[name], dtype=np.float64)
        if before.size == after.size:
            before = before.reshape(after.shape)  # [rows] and [rows, 1] are the same answer
        else:
            raise BundleError(
                f"output {name!r}: shape {list(after.shape)}, but the original gives {list(before.shape)}"
            )
        rows = len(before)
        difference = np.abs(before - after)
        largest = max(largest, float(difference.max()) if np.isfinite(difference).all() else np.finfo(float).max)
        if how.decision is None or how.decision.task is Task.REGRESSION:
            scale = max(scale, float(np.abs(before).max()))
    changed = 0
    if how.decision is not None:
        first, second = decided(how.decision, original), decided(how.decision, converted)
        changed = 0 if first is None or second is None else int((first != second).sum())
    tolerance = how.tolerance * scale
    return ParityReport(
        rows=rows,
        largest_difference=largest,
        changed_decisions=changed,
        tolerance=tolerance,
        passed=largest <= tolerance,
    )


def check_finite(outputs: Mapping[str, Array]) -> None:
    """Raise `BundleError` naming output and row where a model answers NaN or infinity: no response could carry it."""
    for name, values in outputs.items():
        if values.dtype.kind != "f":
            continue
        wrong = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if wrong.any():
            raise BundleError(f"the model's output {name!r} is not a finite number in sample row {wrong.argmax()}")
