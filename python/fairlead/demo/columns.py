"""Which columns of a table a model may learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAK_AUC = 0.995
"""A column that alone separates the classes this well is the label in other clothes."""
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
        if reason is None and leak >= LEAK_AUC:
            verdict = "kept, as asked" if how.keep_leaks else "left out; --keep-leaks keeps it"
            remarks.append(f"WARNING: {name} nearly equals the label (AUC {leak:.4f} on its own): {verdict}")
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
    """How well the column alone tells the classes apart: the larger AUC of it and its reverse, or of its gaps."""
    from sklearn.metrics import roc_auc_score

    if labels.min() == labels.max():
        return 0.5
    codes, _ = _codes(column)
    if codes.max() < FEW_VALUES:
        rate = np.bincount(codes, weights=labels) / np.maximum(np.bincount(codes), 1)
        return float(roc_auc_score(labels, rate[codes]))
    if column.dtype.kind == "O":
        return 0.5
    values = column.to_numpy(np.float64)
    missing = np.isnan(values)
    found = float(roc_auc_score(labels, np.where(missing, np.nanmedian(values), values)))
    gaps = float(roc_auc_score(labels, missing)) if missing.any() else 0.5
    return max(found, 1.0 - found, gaps, 1.0 - gaps)


def _codes(column: Any) -> tuple[NDArray[np.int64], int]:
    """Distinct values as small integers; missing is a value of its own."""
    import pandas as pd

    codes, values = pd.factorize(column, use_na_sentinel=False)
    return np.asarray(codes, dtype=np.int64), len(values)
