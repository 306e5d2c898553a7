"""What every demo starts from: rows in order of time, their labels, and who gets which rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows to send as live traffic, in order."""

    name: str
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Features and labels, cut into what the prototype may see and what it meets later."""

    endpoint: str
    source: str
    """What the data are, in a few words."""
    features: Any
    """pandas frame: numbers, booleans and strings; one row per label."""
    label_name: str
    labels: NDArray[np.int8]
    """1 for the positive class."""
    weights: NDArray[np.float64]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    """Rows that the threshold is chosen on: later than `train`."""
    live: tuple[Stretch, ...]
    """Later than `validation`. The first is ordinary, and what the model is judged on."""
    unit: tuple[str, NDArray[Any]] | None = None
    """Name and values of the column that says whose row it is; no feature."""
    remarks: tuple[str, ...] = field(default=())
    """What a reader must know of the data."""
    columns: tuple[str, ...] = field(default=())
    """What became of the columns, one line each."""

    @property
    def has_strings(self) -> bool:
        """Whether a feature is text."""
        return bool(self.string_columns)

    @property
    def string_columns(self) -> list[str]:
        """Names of the text features."""
        return [str(name) for name, kind in self.features.dtypes.items() if kind.kind == "O"]
