"""Which columns of a table a model may learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAK_PRECISION = 0.98
"""A column whose own average precision reaches this is the label in other clothes. Not the AUC: where positives are
rare, a genuine feature may have an AUC of 0.999 and still be wrong most of the time it says "positive"."""
FEW_VALUES = 50
"""Columns with no more distinct values are compared with the label value by value, in any order of the values."""
MOST_CATEGORIES = 100
"""A text column with more distinct values is an identifier or prose, and not used."""


@dataclass(frozen=True, slots=True)
class Screening:
    """How to screen."""

    keep_leaks: bool
    ordered: bool
    """Rows are in order of time, so that a column that only rises is a copy of time."""


@dataclass(frozen=True, slots=True)
class Screened:
    """What is left, and what was done to the rest."""

    features: Any
    remarks: list[str]


def screen(frame: Any, labels: NDArray[np.int8], how: Screening) -> Screened:
    """Keep numbers, booleans and text of few values; leave out constants, copies of time and copies of the label."""
    kept: dict[str, Any] = {}
    remarks: list[str] = []
    for name in frame.columns:
        column = _usable(frame[name])
        reason = _reason_against(column, how)
        leak = separation(column, labels) if reason is None else 0.0
        if reason is None and leak >= LEAK_PRECISION:
            verdict = "kept, as asked" if how.keep_leaks else "left out; --keep-leaks keeps it"
            remarks.append(
                f"WARNING: {name} nearly equals the label (average precision {leak:.4f} on its own): {verdict}"
            )
            reason = None if how.keep_leaks else ""
        if reason:
            remarks.append(f"{name} left out: {reason}")
        if reason is None:
            kept[str(name)] = column
    import pandas as pd

    return Screened(pd.DataFrame(kept), remarks)


def _usable(column: Any) -> Any:
    """The column with text as objects, wherever it was read from."""
    if str(column.dtype) in {"category", "string", "str"} or column.dtype.kind == "O":
        present = column.notna()
        if bool(present.any()) and all(isinstance(value, bool) for value in column[present]):
            return column.astype("float64")  # booleans with gaps: pandas holds them as objects
        return column.astype("object").where(present, "")
    return column


def _reason_against(column: Any, how: Screening) -> str | None:
    kind = column.dtype.kind
    if kind not in "biufO":
        return f"a column of type {column.dtype} is no number and no text"
    if kind == "O" and not all(isinstance(value, str) for value in column):
        return "its values are neither numbers nor text"
    distinct = int(column.nunique())
    if distinct < 2:
        return "it has one value"
    if kind == "O" and distinct > MOST_CATEGORIES:
        return f"text with {distinct} different values"
    if kind in "iuf":
        if bool(np.isinf(column.to_numpy(np.float64)).any()):
            return "it holds infinite values"
        if how.ordered and distinct > FEW_VALUES and column.is_monotonic_increasing:
            return "it only rises with time: a clock or a row number"
    return None


def separation(column: Any, labels: NDArray[np.int8]) -> float:
    """How nearly the column alone equals the label: the largest average precision of it, its reverse and its gaps.

    All rows are looked at, later ones too: that can only take a column away from the model, never help it.
    """
    if labels.min() == labels.max():
        return float(labels.mean())
    codes, _ = _codes(column)
    if codes.max() < FEW_VALUES:
        rate = np.bincount(codes, weights=labels) / np.maximum(np.bincount(codes), 1)
        return _precision(labels, rate[codes])
    if column.dtype.kind == "O":
        return float(labels.mean())
    values = column.to_numpy(np.float64)
    missing = np.isnan(values)
    filled = np.where(missing, np.nanmedian(values), values)
    gaps = max(_precision(labels, missing), _precision(labels, ~missing))
    return max(_precision(labels, filled), _precision(labels, -filled), gaps)


def _precision(labels: NDArray[np.int8], scores: NDArray[Any]) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, scores))


def _codes(column: Any) -> tuple[NDArray[np.int64], int]:
    """Distinct values as small integers; missing is a value of its own."""
    import pandas as pd

    codes, values = pd.factorize(column, use_na_sentinel=False)
    return np.asarray(codes, dtype=np.int64), len(values)
