"""Whether bad outcomes are more frequent in the challenger, over a rollout whose weights change on the way.

What is counted is each *unit's first* bad outcome; what is known of it is whose unit it was, and which share of the
units the challenger had at that moment. If the challenger's rate is r times the champion's, an event of an epoch with
share rho is the challenger's with probability theta(r) = rho r / (rho r + 1 - rho). The evidence is the likelihood
ratio of a mixture of r against the margin m, multiplied over epochs:

    ln e = ln sum_j w_j exp(X (d_j - d_m) - sum_k n_k (A_k(d_j) - A_k(d_m))),   A_k(d) = ln(rho_k e^d + 1 - rho_k)

with d = ln r, X the challenger's events and n_k all events of epoch k. It is a martingale at r = m and a
supermartingale on the whole null hypothesis, for any schedule of weights that does not look into the future.
Source: Lindon and Malek, NeurIPS 2022, for constant shares; the prior on r here is shared by all epochs instead of
conjugate to one, so that shares may change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from fairlead.rollout.evidence.arguments import Floats, counts, positive, probability, require, shares
from fairlead.rollout.evidence.bernoulli import Interval
from fairlead.rollout.evidence.log_space import log_sum

_NODES = 72
_NEAREST, _FARTHEST = 1e-3, 7.0
"""Distances from the margin in ln r. Nodes lie in geometric progression: an effect at distance d is decided by some
1 / d^2 events, whose likelihood is about d wide, so a constant *ratio* of distances loses the same little
everywhere."""
_BLOCK = 512
"""Rollouts at a time: what a block needs stays in the processor's cache."""
CONCENTRATION = 5.0
"""Of the prior: r / (1 + r) is beta-distributed with these two parameters; at 5, nine in ten r lie in 0.34 to 2.98."""


class Side(StrEnum):
    """What there may be evidence for; the null hypothesis is the contrary."""

    HARM = "harm"
    """The rate ratio is above the margin."""
    SAFE = "safe"
    """The rate ratio is below the margin."""
    EITHER = "either"
    """The rate ratio is not the margin."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What was counted while the challenger had one share of the units; replicas' counts may be added (`merge`)."""

    share: float
    """The challenger's, of the units of both arms that are compared."""
    challenger: int
    """Events in the challenger."""
    events: int
    """Events in both arms."""

    def __post_init__(self) -> None:
        shares("share", self.share)
        counts("events", self.events)
        require(0 <= self.challenger <= self.events, "challenger", f"from 0 to events ({self.events})", self.challenger)


@dataclass(frozen=True)
class RatioTest:
    """Evidence about the ratio of the challenger's event rate to the champion's."""

    side: Side
    margin: float
    """The ratio that separates the hypotheses: 1.25 is a quarter more bad outcomes than the champion."""
    concentration: float = CONCENTRATION

    def __post_init__(self) -> None:
        positive("margin", self.margin)
        positive("concentration", self.concentration)

    @cached_property
    def nodes(self) -> tuple[Floats, Floats]:
        """The logarithms of each node's ratio and of its weight in the prior."""
        distance = np.geomspace(_NEAREST, _FARTHEST, _NODES)
        width = np.gradient(distance)
        width[0] += _NEAREST / 2  # the sliver between the margin and the first node
        signs = {Side.HARM: (1,), Side.SAFE: (-1,), Side.EITHER: (-1, 1)}[self.side]
        node = np.concatenate([np.log(self.margin) + sign * distance for sign in signs])
        weight = np.tile(np.log(width), len(signs))
        weight = weight + self.concentration * (special.log_expit(node) + special.log_expit(-node))
        return node, weight - special.logsumexp(weight)

    def log_e(self, share: ArrayLike, challenger: ArrayLike, events: ArrayLike) -> Floats:
        """The logarithm of e of each of many rollouts, shape (...).

        `challenger` counts the challenger's events, `events` those of both arms, both of shape (..., epochs); `share`
        has shape (epochs,).
        """
        share, challenger, events = shares("share", share), counts("challenger", challenger), counts("events", events)
        require(share.ndim == 1, "share", "one share for each epoch", f"shape {share.shape}")
        require(events.shape[-1:] == share.shape, "events", f"shape (..., {len(share)})", events.shape)
        require(challenger.shape == events.shape, "challenger", f"shape {events.shape}", challenger.shape)
        over = (challenger > events).any()
        require(not over, "challenger", "at most `events`", "more")
        rows, sums = events.reshape(-1, len(share)), challenger.sum(axis=-1).reshape(-1, 1)
        gain, cost, weight = self._per_event(share)
        blocks = range(0, len(rows), _BLOCK)
        parts = [log_sum(sums[i : i + _BLOCK] * gain - rows[i : i + _BLOCK] @ cost + weight) for i in blocks]
        return np.concatenate([*parts, np.zeros(0)]).reshape(events.shape[:-1])

    def _per_event(self, share: Floats) -> tuple[Floats, Floats, Floats]:
        """What each node gains with an event of the challenger, loses with any event (by epoch), and its weight."""
        node, weight = self.nodes
        at_margin = np.log([self.margin])
        return node - at_margin, _log_rate(share, node) - _log_rate(share, at_margin), weight

    def log_e_of(self, epochs: Iterable[Epoch]) -> float:
        """The logarithm of e of one rollout; 0 where nothing was counted."""
        rows = [(epoch.share, epoch.challenger, epoch.events) for epoch in epochs]
        if not rows:
            return 0.0
        share, challenger, events = zip(*rows, strict=True)
        return float(self.log_e(share, challenger, events))


def ratio_interval(epochs: Iterable[Epoch], alpha: float) -> Interval:
    """The rate ratios that the counts do not refute at level `alpha`, whenever one looks; within 1/1000 to 1000."""
    seen = list(epochs)
    threshold = -np.log(probability("alpha", alpha))

    def excess(log_ratio: float) -> float:
        return RatioTest(Side.EITHER, float(np.exp(log_ratio))).log_e_of(seen) - float(threshold)

    grid = np.linspace(-np.log(1_000), np.log(1_000), 401)
    refuted = np.array([excess(place) for place in grid]) >= 0
    kept = np.flatnonzero(~refuted)
    if not kept.size:  # narrower than the grid: it lies about the least refuted ratio
        best = float(optimize.minimize_scalar(excess, bounds=(grid[0], grid[-1]), method="bounded").x)
        lower, upper = best - float(grid[1] - grid[0]), best + float(grid[1] - grid[0])
        low, high = optimize.brentq(excess, lower, best), optimize.brentq(excess, best, upper)
    else:
        first, last = int(kept[0]), int(kept[-1])
        low = optimize.brentq(excess, grid[first - 1], grid[first]) if first > 0 else grid[0]
        high = optimize.brentq(excess, grid[last], grid[last + 1]) if last + 1 < len(grid) else grid[-1]
    return Interval(float(np.exp(low)), float(np.exp(high)))


def merge(*parts: Mapping[str, Epoch]) -> dict[str, Epoch]:
    """What all replicas counted, by the epoch's id: those of one id are added, others stand side by side.

    An id names one allocation in one region. The order of `parts` does not matter. `BadInputError` where two parts
    disagree about an epoch's share.
    """
    merged: dict[str, Epoch] = {}
    for part in parts:
        for key, epoch in part.items():
            before = merged.get(key, Epoch(epoch.share, 0, 0))
            require(before.share == epoch.share, f"share of epoch {key!r}", str(before.share), epoch.share)
            merged[key] = Epoch(epoch.share, before.challenger + epoch.challenger, before.events + epoch.events)
    return dict(sorted(merged.items()))


def event_share(share: float, ratio: float) -> float:
    """theta: the probability that an event is the challenger's, at a rate ratio of `ratio`."""
    return share * ratio / (share * ratio + 1 - share)


def _log_rate(share: Floats, node: Floats) -> Floats:
    """A_k(d), shape (epochs, nodes)."""
    return np.asarray(np.logaddexp(np.log(share)[:, None] + node, np.log1p(-share)[:, None]), dtype=np.float64)
