"""What is watched: streams of rows, each row in one cell of each stream, and how the reference fell into the cells."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from fairlead.monitor.sequential.arguments import Integers, counts, require
from fairlead.schema.profile import FeatureProfile, NumericProfile

MISSING, INVALID, UNSEEN, OTHER = "missing", "invalid", "unseen", "other"
"""Cells beside the values: no value; a value of the wrong kind; a category that the reference does not have; one that
it has, but does not list.
"""


@dataclass(frozen=True, slots=True)
class Stream:
    """A feature, the scores or the decisions, in cells."""

    name: str
    cells: tuple[str, ...]
    """What each cell is called; ordered ones first."""
    reference: Integers
    """Rows of the reference, shape (seasons, cells). One season: the reference is the same at all times. Several:
    season i is compared with row i, such as the hours of a day.
    """
    ordered: int = 0
    """How many cells, from the first, are neighbouring intervals: bets on their shape make sense."""
    weight: float = 1.0
    """The stream's part of the stake, relative to other streams'."""

    def __post_init__(self) -> None:
        name = f"stream `{self.name}`"
        require(bool(self.name), "stream", "a name", "none")
        require(len(self.cells) >= 2, f"{name}, cells", "2 or more", len(self.cells))
        require(len(set(self.cells)) == len(self.cells), f"{name}, cells", "names that differ", self.cells)
        fits = self.reference.ndim == 2 and self.reference.shape[1] == len(self.cells)
        require(fits, f"{name}, reference", f"shape (seasons, {len(self.cells)})", self.reference.shape)
        require(bool(self.reference.sum() > 0), f"{name}, reference", "1 row or more", "none")
        require(0 <= self.ordered <= len(self.cells), f"{name}, ordered", f"0 to {len(self.cells)}", self.ordered)
        require(0 < self.weight < np.inf, f"{name}, weight", "a finite number above 0", self.weight)

    @property
    def seasons(self) -> int:
        """How many references there are."""
        return int(self.reference.shape[0])


def stream(name: str, cells: tuple[str, ...], reference: ArrayLike, *, ordered: int = 0, weight: float = 1.0) -> Stream:
    """A stream with a `reference` of shape (cells,) or (seasons, cells)."""
    found = counts(f"stream `{name}`, reference", reference)
    return Stream(name, cells, np.atleast_2d(found), ordered, weight)


def of_feature(feature: FeatureProfile) -> Stream:
    """The stream of a profiled feature: its bins or categories, then the cells beside them.

    The profile counted neither invalid nor unseen values: its reference has none.
    """
    if feature.numeric is not None:
        found = _intervals(feature.numeric)
        cells = (*found, MISSING, INVALID)
        return stream(feature.name, cells, [*feature.numeric.counts, feature.missing, 0], ordered=len(found))
    categories = feature.categories
    require(categories is not None, f"feature `{feature.name}`", "a profile of numbers or of categories", "neither")
    assert categories is not None
    listed = tuple(f"= {value}" for value in categories.counts)
    beside = (OTHER, MISSING, INVALID, UNSEEN)
    reference = [*categories.counts.values(), categories.other, feature.missing, 0, 0]
    return stream(feature.name, (*listed, *beside), reference)


def of_scores(profile: NumericProfile, name: str = "score") -> Stream:
    """The stream of the model's scores; those that are no numbers are invalid."""
    found = _intervals(profile)
    return stream(name, (*found, INVALID), [*profile.counts, 0], ordered=len(found))


def _intervals(profile: NumericProfile) -> tuple[str, ...]:
    edges = [f"{edge:.6g}" for edge in profile.edges]
    if not edges:
        return ("any",)
    inner = (f"[{low}, {high}) #{i}" for i, (low, high) in enumerate(pairwise(edges), start=1))
    return (f"< {edges[0]}", *inner, f">= {edges[-1]}")
