"""A column of both tables: sorted numbers, or counts on one list of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairlead.monitor.distances import Floats
from fairlead.monitor.samples import Apart, apart
from fairlead.schema.comparison import ColumnKind, SideFacts
from fairlead.store.columns import Categories, Column, Numbers, Unread

LARGEST = 1e150
"""Numbers beyond count as infinite: their squares would be."""


@dataclass(frozen=True, slots=True)
class NumberSide:
    """The numbers of one table: `values` are the finite ones in order, `given` all of them in the table's order."""

    type: str
    given: Floats
    values: Floats
    missing: int
    infinite: int

    @property
    def whole(self) -> bool:
        """Whether the file's type is an integer one."""
        return "int" in self.type


@dataclass(frozen=True, slots=True)
class NumberPair:
    """A numeric column of both tables. `apart` is None where one of them has no finite number."""

    name: str
    reference: NumberSide
    current: NumberSide
    apart: Apart | None


@dataclass(frozen=True, slots=True)
class CategorySide:
    """The counts of one table on the labels of the pair, and its rows as numbers of labels, -1 where missing."""

    type: str
    codes: np.ndarray[tuple[int], np.dtype[np.int64]]
    counts: Floats
    missing: int


@dataclass(frozen=True, slots=True)
class CategoryPair:
    """A column of labels of both tables. The labels of the reference come first."""

    name: str
    labels: Sequence[str]
    reference: CategorySide
    current: CategorySide


Pair = NumberPair | CategoryPair


def kind_of(column: Column) -> ColumnKind:
    """Return what a column is compared as."""
    if isinstance(column, Numbers):
        return ColumnKind.NUMBER
    return ColumnKind.CATEGORY if isinstance(column, Categories) else ColumnKind.OTHER


def pair_of(reference: Column, current: Column) -> Pair | None:
    """Return the two as a pair; a side without values and type is taken as the other's kind. None: not comparable."""
    known, seen = _as_other(reference, current), _as_other(current, reference)
    if isinstance(known, Numbers) and isinstance(seen, Numbers):
        sides = _number_side(known), _number_side(seen)
        both = all(len(side.values) for side in sides)
        return NumberPair(known.name, *sides, apart(sides[0].values, sides[1].values) if both else None)
    if isinstance(known, Categories) and isinstance(seen, Categories):
        return _categories(known, seen)
    return None


def _as_other(column: Column, other: Column) -> Column:
    if not isinstance(column, Unread) or not column.untyped:
        return column
    if isinstance(other, Numbers):
        return Numbers(column.name, column.type, np.full(column.missing, math.nan))
    if isinstance(other, Categories):
        return Categories(column.name, column.type, np.full(column.missing, -1, dtype=np.int32), ())
    return column


def _number_side(column: Numbers) -> NumberSide:
    finite = column.values[np.abs(column.values) <= LARGEST]
    finite.sort()
    finite += 0.0  # -0.0 is 0
    missing = int(np.isnan(column.values).sum()) if len(finite) < len(column.values) else 0
    return NumberSide(column.type, column.values, finite, missing, len(column.values) - len(finite) - missing)


def _categories(reference: Categories, current: Categories) -> CategoryPair:
    index = {label: at for at, label in enumerate(reference.labels)}
    places = [index.setdefault(label, len(index)) for label in current.labels]
    sides = [
        _category_side(column, np.array(to, dtype=np.int64), len(index))
        for column, to in ((reference, range(len(reference.labels))), (current, places))
    ]
    return CategoryPair(reference.name, tuple(index), sides[0], sides[1])


def _category_side(column: Categories, places: np.ndarray[tuple[int], np.dtype[np.int64]], labels: int) -> CategorySide:
    codes = np.append(places, -1)[column.codes]  # code -1 takes the last
    present = codes[codes >= 0]
    counts = np.bincount(present, minlength=labels).astype(np.float64)
    return CategorySide(column.type, codes, counts, len(codes) - len(present))


def number_facts(side: NumberSide) -> SideFacts:
    """Return what one side of a numeric column is like."""
    values = side.values
    plain = SideFacts(type=side.type, missing=side.missing, infinite=side.infinite, distinct=distinct(values))
    if not len(values):
        return plain
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(values.mean()), float(values.std())
    return plain.model_copy(
        update={
            "minimum": float(values[0]),
            "median": float(values[(len(values) - 1) // 2]),
            "maximum": float(values[-1]),
            "mean": mean if math.isfinite(mean) else None,
            "standard_deviation": deviation if math.isfinite(deviation) else None,
        }
    )


def category_facts(side: CategorySide) -> SideFacts:
    """Return what one side of a column of labels is like."""
    return SideFacts(type=side.type, missing=side.missing, distinct=int(np.count_nonzero(side.counts)))


def distinct(values: Floats) -> int:
    """Return the number of different values among sorted ones."""
    return int(np.count_nonzero(values[1:] != values[:-1])) + 1 if len(values) else 0
