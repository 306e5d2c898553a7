"""A/A: the challenger is the champion, so every roll-back is wrong. Rules look every second, or as their makers say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.rollouts.traffic import (
    LATENCY_EDGES,
    SCORE_BINS,
    SHARES,
    Counts,
    Floats,
    World,
    latency_quantile,
    latency_shares,
    score_shares,
)
from fairlead.rollout.evidence.distribution import shift_log_e
from fairlead.rollout.evidence.quantile import Histogram, QuantileTest
from fairlead.rollout.evidence.ramp import RatioTest, Side
from fairlead.rollout.evidence.several import divided
from fairlead.rollout.evidence.shares import mismatch_log_e

ALPHA = 0.05
GUARDRAILS = {"errors": 2.0, "p99 latency": 1.0, "scores": 1.0, "split": 1.0}
"""And their weights in the level."""
EDGES = np.concatenate([LATENCY_EDGES[:-1:6], [np.inf]])
"""Of latency: 6 % wide, for the sake of speed."""
INTERVAL = 60
"""Seconds between two checks of the rule with fixed thresholds."""
SUCCESS, FAILED_CHECKS = 0.99, 5
Z = 1.6449
Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Seen:
    """Cumulative counts of every rollout, by epoch where allocation matters."""

    rollouts: int
    errors: Counts = field(init=False)
    """(rollouts, epochs, arms): champion, challenger."""
    units: Counts = field(init=False)
    latency: Counts = field(init=False)
    """(arms, rollouts, bins), of equal slices of both arms."""
    scores: Counts = field(init=False)
    """(arms, rollouts, epochs, bins)."""

    def __post_init__(self) -> None:
        self.errors = np.zeros((self.rollouts, len(SHARES), 2), dtype=np.int64)
        self.units = np.zeros_like(self.errors)
        self.latency = np.zeros((2, self.rollouts, len(EDGES) - 1), dtype=np.int64)
        self.scores = np.zeros((2, self.rollouts, len(SHARES), SCORE_BINS), dtype=np.int64)

    def add_second(self, rng: np.random.Generator, world: World, second: int) -> None:
        """One second of traffic in each rollout."""
        epoch = world.epoch(second)
        share = SHARES[epoch]
        mean = world.arrivals(second)
        arms = np.array([1 - share, share])
        self.scores[:, :, epoch] += rng.poisson(
            mean * arms[:, None, None] * score_shares(), (2, self.rollouts, SCORE_BINS)
        )
        now = self.scores[:, :, epoch].sum(axis=-1).T
        new = now - self.units[:, epoch]
        self.units[:, epoch] = now
        self.errors[:, epoch] += rng.binomial(new, world.errors(second))
        matched = min(share, 1 - share) * mean * latency_shares(edges=EDGES)
        self.latency += rng.poisson(matched, self.latency.shape)


def wrongly_rolled_back(rng: np.random.Generator, world: World, rollouts: int) -> dict[str, float]:
    """The share of rollouts that each rule rolled back."""
    seen = Seen(rollouts)
    judges: list[_Judge] = [
        _Evidence(rollouts),
        _FixedThreshold(rollouts),
        _RepeatedZ(rollouts, 1),
        _RepeatedZ(rollouts, INTERVAL),
    ]
    for second in range(world.seconds):
        seen.add_second(rng, world, second)
        for judge in judges:
            judge.look(seen, second)
    return {name: float(flags.mean()) for judge in judges for name, flags in judge.found().items()}


class _Judge(Protocol):
    """A rule that looks at the same counts as all others."""

    def look(self, seen: Seen, second: int) -> None:
        """After each second."""

    def found(self) -> dict[str, Flags]:
        """Which rollouts it rolled back, by the name of the rule."""


class _Evidence:
    """Ours: four guardrails that share the level."""

    def __init__(self, rollouts: int) -> None:
        self.crossed = np.zeros((len(GUARDRAILS), rollouts), dtype=np.bool_)
        levels = divided(ALPHA, list(GUARDRAILS.values()))
        self.thresholds = -np.log(levels)
        self.quantile = QuantileTest(Side.HARM, 0.99, n_opt=5_000)
        self.p99 = np.array([latency_quantile(0.99)])

    def look(self, seen: Seen, second: int) -> None:  # noqa: ARG002  it looks every second
        share = np.array(SHARES)
        values = (
            RatioTest(Side.HARM, 1.0).log_e(share, seen.errors[..., 1], seen.errors.sum(axis=-1)),
            self._latency(seen),
            shift_log_e(share, seen.scores[1], seen.scores.sum(axis=0)),
            mismatch_log_e(seen.units, np.stack([1 - share, share], axis=-1)),
        )
        for row, value in enumerate(values):
            self.crossed[row] |= value >= self.thresholds[row]

    def _latency(self, seen: Seen) -> Floats:
        """Exact where it might cross: one place bounds the least over all."""
        value = self.quantile.log_e_at(*_arms(seen.latency), self.p99)[:, 0]
        near = np.flatnonzero(value >= self.thresholds[1])
        if near.size:
            value[near] = self.quantile.log_e(*_arms(seen.latency[:, near]))
        return value

    def found(self) -> dict[str, Flags]:
        each = dict(zip(GUARDRAILS, self.crossed, strict=True))
        any_: Flags = np.asarray(self.crossed.any(axis=0))
        return {"Fairlead, any guardrail": any_} | {f"Fairlead, {name} alone": flags for name, flags in each.items()}


class _FixedThreshold:
    """As Flagger: each interval the challenger's success rate against a constant; so many failed checks roll back."""

    def __init__(self, rollouts: int) -> None:
        self.failed = np.zeros(rollouts, dtype=np.int64)
        self.before = np.zeros((rollouts, 2), dtype=np.int64)

    def look(self, seen: Seen, second: int) -> None:
        if (second + 1) % INTERVAL:
            return
        now = np.stack([seen.errors[..., 1].sum(axis=1), seen.units[..., 1].sum(axis=1)], axis=-1)
        errors, units = (now - self.before).T
        self.before = now
        # No traffic is a failed check there as well.
        self.failed += (units == 0) | (errors > (1 - SUCCESS) * units)

    def found(self) -> dict[str, Flags]:
        return {
            f"fixed threshold {SUCCESS:.0%}, {FAILED_CHECKS} failed checks (as Flagger)": self.failed >= FAILED_CHECKS,
            f"fixed threshold {SUCCESS:.0%}, 1 failed check (as Argo Rollouts' default)": self.failed >= 1,
        }


class _RepeatedZ:
    """The one-sided z-test of a fixed sample at 5 %, repeated: two proportions, pooled over the ramp."""

    def __init__(self, rollouts: int, every: int) -> None:
        self.every = every
        self.crossed = np.zeros(rollouts, dtype=np.bool_)

    def look(self, seen: Seen, second: int) -> None:
        if (second + 1) % self.every:
            return
        self.crossed |= _z(seen.errors.sum(axis=1), seen.units.sum(axis=1)) >= Z

    def found(self) -> dict[str, Flags]:
        return {f"z-test at 5 % on errors, looked at every {self.every} s": self.crossed}


def _z(errors: Counts, units: Counts) -> Floats:
    """The z of challenger over champion, shape (rollouts,); 0 where there are fewer than ten errors."""
    rate = errors.sum(axis=1) / np.maximum(units.sum(axis=1), 1)
    spread = np.sqrt(rate * (1 - rate) * (1 / np.maximum(units, 1)).sum(axis=1))
    gap = errors[:, 1] / np.maximum(units[:, 1], 1) - errors[:, 0] / np.maximum(units[:, 0], 1)
    return np.where(errors.sum(axis=1) >= 10, gap / np.maximum(spread, 1e-12), 0.0)


def _arms(latency: Counts) -> tuple[Histogram, Histogram]:
    return Histogram.of(EDGES, latency[0]), Histogram.of(EDGES, latency[1])
