"""Columns of a table as values: what files are read to, and what is compared. Needs numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Numbers:
    """A numeric column: float64, NaN where a value is missing; infinities are kept."""

    name: str
    type: str
    """What the file calls it."""
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Categories:
    """A column of text or booleans: `labels[codes[row]]`, code -1 where the value is missing. Labels differ."""

    name: str
    type: str
    codes: NDArray[np.int32]
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class Unread:
    """A column whose values are not compared (times, lists, structures), or that has no value and no type."""

    name: str
    type: str
    missing: int

    @property
    def untyped(self) -> bool:
        """Whether the file gives it no type, since it has no value."""
        return self.type == NO_TYPE


NO_TYPE = "null"
Column = Numbers | Categories | Unread


@dataclass(frozen=True, slots=True)
class Frame:
    """A table of named columns of `rows` rows each."""

    name: str
    rows: int
    columns: Mapping[str, Column]
