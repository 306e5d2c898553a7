"""Whether a quantile, such as the 99th percentile of latency, is worse in the challenger.

A quantile is a statement about counts: the p99 is at most x where at least 99 % of values are at most x. Were the
champion's quantile x known, each arm's counts would be evidence about it (beta-binomial mixtures). It is not known,
so the product of both is taken for every x, and the least counts: at the true x it is an e-value. Source: Howard and
Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification", Bernoulli
2022, theorem 5, for equality; one-sided and with a margin by the same argument.

It takes the values of an arm as drawn alike at all times. Where they drift, compare with an equally large control that
runs at the same time, or count answers slower than an agreed limit instead: that is a rate, exact, and found sooner
(`ramp`).

Values are given raw (`Sample`) or as mergeable counts in bins (`Histogram`); bins only make the evidence weaker,
never wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from fairlead.rollout.evidence.arguments import Floats, counts, numbers, positive, probability, require
from fairlead.rollout.evidence.mixtures import BetaBinomialMixture
from fairlead.rollout.evidence.ramp import Side


class Counted(Protocol):
    """What is known of one arm's values."""

    @property
    def size(self) -> Floats:
        """How many values there are, shape (...)."""

    def places(self) -> Floats:
        """A value in each stretch on which what is known does not change, ascending, shape (places,)."""

    def below(self, x: Floats) -> Floats:
        """How many values are surely less than each `x`, shape (..., len(x))."""

    def up_to(self, x: Floats) -> Floats:
        """How many values may be at most each `x`, shape (..., len(x))."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Values themselves, ascending."""

    values: Floats

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """A sample of `values` in any order."""
        found = numbers("values", values)
        require(found.ndim == 1, "values", "one axis", f"shape {found.shape}")
        return cls(np.sort(found))

    @property
    def size(self) -> Floats:
        """As `Counted.size`."""
        return np.asarray(len(self.values), dtype=np.float64)

    def places(self) -> Floats:
        """As `Counted.places`."""
        return np.unique(self.values)

    def below(self, x: Floats) -> Floats:
        """As `Counted.below`."""
        return np.asarray(np.searchsorted(self.values, x, side="left"), dtype=np.float64)

    def up_to(self, x: Floats) -> Floats:
        """As `Counted.up_to`."""
        return np.asarray(np.searchsorted(self.values, x, side="right"), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in bins: `counted[..., i]` values lie in [`edges[i]`, `edges[i + 1]`). Leading axes are arms of other
    rollouts.
    """

    edges: Floats
    """Ascending, shape (bins + 1,); the first may be -infinity and the last infinity."""
    counted: Floats
    """Shape (..., bins)."""

    @classmethod
    def of(cls, edges: ArrayLike, counted: ArrayLike) -> Self:
        """A checked histogram."""
        edges, counted = np.asarray(edges, dtype=np.float64), counts("counted", counted)
        require(edges.ndim == 1 and bool((np.diff(edges) > 0).all()), "edges", "ascending numbers", edges)
        require(counted.shape[-1:] == (len(edges) - 1,), "counted", f"shape (..., {len(edges) - 1})", counted.shape)
        return cls(edges, counted)

    def __add__(self, other: Histogram) -> Histogram:
        """What two replicas saw."""
        require(np.array_equal(self.edges, other.edges), "edges", "the same in both", other.edges)
        return Histogram(self.edges, self.counted + other.counted)

    @property
    def size(self) -> Floats:
        """As `Counted.size`."""
        return np.asarray(self.counted.sum(axis=-1), dtype=np.float64)

    def places(self) -> Floats:
        """As `Counted.places`."""
        finite = self.edges[np.isfinite(self.edges)]
        below = [] if np.isfinite(self.edges[0]) else [np.nextafter(self.edges[1], -np.inf)]
        return np.concatenate([below, finite])

    def below(self, x: Floats) -> Floats:
        """As `Counted.below`: the bins before that of `x`."""
        return self._up_to_bin(np.searchsorted(self.edges, x, side="right") - 1)

    def up_to(self, x: Floats) -> Floats:
        """As `Counted.up_to`: the bins up to that of `x`."""
        return self._up_to_bin(np.searchsorted(self.edges, x, side="right"))

    def _up_to_bin(self, bins: np.ndarray) -> Floats:
        padded = np.zeros((*self.counted.shape[:-1], self.counted.shape[-1] + 1))
        np.cumsum(self.counted, axis=-1, out=padded[..., 1:])
        return padded[..., np.clip(bins, 0, self.counted.shape[-1])]


@dataclass(frozen=True, slots=True)
class QuantileTest:
    """Evidence about the `q`-quantile of the challenger against that of the champion, times `ratio`, plus `shift`."""

    side: Side
    q: float
    n_opt: float = 1_000
    """Values per arm at which the test should be strongest."""
    ratio: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        probability("q", self.q)
        positive("n_opt", self.n_opt)
        positive("ratio", self.ratio)
        numbers("shift", self.shift)

    def log_e(self, champion: Counted, challenger: Counted) -> Floats:
        """The logarithm of e; 0 or less where an arm has no value."""
        return np.asarray(self.log_e_at(champion, challenger, self._places(champion, challenger)).min(axis=-1))

    def log_e_at(self, champion: Counted, challenger: Counted, x: ArrayLike) -> Floats:
        """The logarithm of e if the champion's quantile were known to be `x`, shape (..., len(x)).

        Any one of them bounds `log_e` from above, at a fraction of its cost.
        """
        x = numbers("x", x)
        moved = x * self.ratio + self.shift
        if self.side is Side.HARM:
            return self._too_many(champion.below(x), champion.size) + self._too_few(
                challenger.up_to(moved), challenger.size
            )
        if self.side is Side.SAFE:
            return self._too_few(champion.up_to(x), champion.size) + self._too_many(
                challenger.below(moved), challenger.size
            )
        return self._unlike(champion, x) + self._unlike(challenger, moved)

    def _places(self, champion: Counted, challenger: Counted) -> Floats:
        """An x in every stretch on which what is known of both arms does not change."""
        moved = (challenger.places() - self.shift) / self.ratio
        places = np.unique(np.concatenate([champion.places(), moved]))
        if not places.size:
            return np.zeros(1)
        if not self._moves:
            return places
        # Moving there and back rounds: a place may land beside its stretch, the middle of two does not, nor does what
        # lies well outside of all.
        outside = [places[0] - 1 - abs(places[0]), places[-1] + 1 + abs(places[-1])]
        return np.unique(np.concatenate([places, (places[1:] + places[:-1]) / 2, outside]))

    @property
    def _moves(self) -> bool:
        return self.ratio != 1 or self.shift != 0

    def _too_many(self, count: Floats, size: Floats) -> Floats:
        """Evidence that values below have a probability above q."""
        return exceedance_log_e(count, size[..., None], self.q, self.n_opt)

    def _too_few(self, count: Floats, size: Floats) -> Floats:
        """Evidence that values up to here have a probability below q: that those above have more than 1 - q."""
        return exceedance_log_e(size[..., None] - count, size[..., None], 1 - self.q, self.n_opt)

    def _unlike(self, arm: Counted, x: Floats) -> Floats:
        """Evidence that x is not the quantile: the least over the counts that may lie at or below it."""
        size, q = arm.size[..., None], self.q
        mixture = BetaBinomialMixture(q * (1 - q) * self.n_opt, q, 1 - q, one_sided=False)
        nearest = np.clip(_least_surprising(mixture, size, q), arm.below(x), arm.up_to(x))
        return mixture.log_e(nearest - q * size, q * (1 - q) * size)


def exceedance_log_e(above: ArrayLike, size: ArrayLike, q: float, n_opt: float = 1_000) -> Floats:
    """The logarithm of the evidence that an event counted `above` times in `size` units has a probability above `q`;
    they broadcast.

    The test of one arm against a fixed limit: the share of answers slower than the agreed 200 ms.
    """
    above, size = np.broadcast_arrays(counts("above", above), counts("size", size))
    require(bool((above <= size).all()), "above", "at most `size`", "more")
    mixture = BetaBinomialMixture(probability("q", q) * (1 - q) * n_opt, q, 1 - q)
    return mixture.log_e(above - q * size, q * (1 - q) * size)


def _least_surprising(mixture: BetaBinomialMixture, size: Floats, q: float) -> Floats:
    """The count at which the two-sided e-value is smallest: it is convex, and nearly symmetric, around q n."""
    low, high = np.zeros_like(size), size.copy()
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(48):
        left, right = high - golden * (high - low), low + golden * (high - low)
        smaller = mixture.log_e(left - q * size, q * (1 - q) * size) < mixture.log_e(
            right - q * size, q * (1 - q) * size
        )
        low, high = np.where(smaller, low, left), np.where(smaller, right, high)
    return np.asarray((low + high) / 2, dtype=np.float64)
