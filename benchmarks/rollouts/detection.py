"""How many units it takes until a worse challenger is rolled back, or a good one certified; arms of equal size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from benchmarks.rollouts.traffic import (
    LATENCY_EDGES,
    Counts,
    Floats,
    beyond_limit,
    latency_shares,
    score_shares,
)
from fairlead.rollout.evidence.distribution import shift_log_e
from fairlead.rollout.evidence.planning import fixed_sample_units
from fairlead.rollout.evidence.quantile import Histogram, QuantileTest
from fairlead.rollout.evidence.ramp import RatioTest, Side

ALPHA, POWER = 0.05, 0.8
N_OPT = 4.0
EVEN = np.array([0.5])


@dataclass(frozen=True, slots=True)
class Case:
    """One regression; `probabilities` of the categories that are counted, per arm."""

    name: str
    champion: Floats
    challenger: Floats
    log_e: Callable[[Counts, Counts], Floats]
    """From counts (rollouts, categories) of champion and challenger."""
    fixed: float
    """Units per arm of the test that looks once, at the same level, with 80 % power."""
    looks: int = 300
    """Equally spaced."""
    horizon: float = 4.0
    """In multiples of `fixed`: a rollout that is not decided by then counts as undecided."""


@dataclass(frozen=True, slots=True)
class Detected:
    """Units of both arms together."""

    median: float | None
    """None: fewer than half within the looks."""
    fixed: float
    share: float
    """Of rollouts that were decided within the horizon."""


def detect(rng: np.random.Generator, case: Case, rollouts: int) -> Detected:
    """Play `case` with equally spaced looks."""
    step = case.horizon * case.fixed / case.looks
    seen = np.zeros((2, rollouts, len(case.champion)), dtype=np.int64)
    units = np.zeros(rollouts)
    stopped = np.full(rollouts, np.inf)
    active = np.arange(rollouts)
    for _ in range(case.looks):
        new = rng.poisson(
            step * np.stack([case.champion, case.challenger])[:, None], (2, len(active), len(case.champion))
        )
        seen[:, active] += new
        units[active] += new.sum(axis=(0, 2))
        crossed = case.log_e(seen[0, active], seen[1, active]) >= -np.log(ALPHA)
        stopped[active[crossed]] = units[active[crossed]]
        active = active[~crossed]
        if not active.size:
            break
    middle = float(np.median(stopped))
    return Detected(middle if np.isfinite(middle) else None, 2 * case.fixed, float(np.isfinite(stopped).mean()))


def error_case(base: float, added: float) -> Case:
    """More errors by `added` of all units."""
    test = RatioTest(Side.HARM, 1.0)

    def log_e(champion: Counts, challenger: Counts) -> Floats:
        return test.log_e(EVEN, challenger[:, :1], (champion + challenger)[:, :1])

    rate = base + added
    name = f"errors {base:.1%} -> {rate:.1%}"
    return Case(name, np.array([base, 1 - base]), np.array([rate, 1 - rate]), log_e, fixed_sample_units(base, rate))


def latency_case(slower: float) -> Case:
    """Every answer takes `slower` times as long; the p99 is what is tested."""
    fixed = fixed_sample_units(0.01, beyond_limit(0.99, slower))
    test = QuantileTest(Side.HARM, 0.99, n_opt=N_OPT * fixed)

    def log_e(old: Counts, new: Counts) -> Floats:
        return test.log_e(Histogram.of(LATENCY_EDGES, old), Histogram.of(LATENCY_EDGES, new))

    name = f"p99 latency x {slower:g}, its quantile"
    return Case(name, latency_shares(), latency_shares(slower), log_e, fixed, looks=120, horizon=24)


def slow_answers_case(slower: float) -> Case:
    """The same regression as a rate: answers slower than an agreed limit, which is the champion's p99."""
    case = error_case(0.01, beyond_limit(0.99, slower) - 0.01)
    return replace(case, name=f"p99 latency x {slower:g}, answers over a limit")


def score_case(shift: float) -> Case:
    """Scores move by `shift` of their standard deviation; the fixed-sample test is that of two means, two-sided."""
    z = special.ndtri(1 - ALPHA / 2) + special.ndtri(POWER)

    def log_e(champion: Counts, challenger: Counts) -> Floats:
        return shift_log_e(EVEN, challenger[:, None], (champion + challenger)[:, None])

    fixed = 2 * float(z / shift) ** 2
    return Case(f"scores moved by {shift:g} deviations", score_shares(), score_shares(shift), log_e, fixed, looks=200)


def certified_case(base: float, margin: float) -> Case:
    """A challenger exactly as good as the champion, until it is shown not to be `margin` times worse."""
    test = RatioTest(Side.SAFE, margin)

    def log_e(champion: Counts, challenger: Counts) -> Floats:
        return test.log_e(EVEN, challenger[:, :1], (champion + challenger)[:, :1])

    arm = np.array([base, 1 - base])
    # The fixed-sample test of non-inferiority, on the logarithm of the ratio.
    z = special.ndtri(1 - ALPHA) + special.ndtri(POWER)
    fixed = 2 * float(z / np.log(margin)) ** 2 / base
    return Case(f"as good, margin {margin:g}, base rate {base:.0%}", arm, arm, log_e, fixed)
