"""Detectors on many simulated endpoints at once, by the same functions that serve one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.worlds import Case, Floats, usual
from fairlead.monitor.sequential.detector import NOTHING, Detector, evolved

Draw = Callable[[np.random.Generator, int, int], tuple[int, NDArray[np.int64], int]]
"""Of a tick: (chance, endpoints, number of the tick) -> rows, counts (endpoints, cells), season."""


@dataclass(frozen=True, slots=True)
class Calm:
    """Traffic in which nothing changes."""

    rows: int
    """Over all endpoints."""
    alarms: int
    """All of them false; after each the detector begins anew."""

    @property
    def between(self) -> float:
        """Rows per false alarm; without any, as if the next row brought the first."""
        return self.rows / max(self.alarms, 1)

    def __add__(self, other: Calm) -> Calm:
        return Calm(self.rows + other.rows, self.alarms + other.alarms)


def calm(rng: np.random.Generator, detector: Detector, draw: Draw, endpoints: int, rows: int) -> Calm:
    """Play until each of the `endpoints` has seen `rows` rows."""
    log_r = np.full((endpoints, len(detector.log_weight)), NOTHING)
    seen = alarms = tick = 0
    while seen < rows:
        size, counts, season = draw(rng, endpoints, tick)
        tick, seen = tick + 1, seen + size
        log_r = evolved(log_r, size, detector.log_likelihood(counts, season), detector.promise)
        alarmed = detector.log_evidence(log_r) >= np.log(detector.promise.requests)
        alarms += int(alarmed.sum())
        log_r[alarmed] = NOTHING
    return Calm(seen * endpoints, alarms)


def even(shares: list[Floats], size: int) -> Draw:
    """Ticks of `size` rows whose cells have these shares, stream by stream."""

    def draw(rng: np.random.Generator, endpoints: int, _: int) -> tuple[int, NDArray[np.int64], int]:
        return size, np.concatenate([rng.multinomial(size, s, endpoints) for s in shares], axis=1), 0

    return draw


@dataclass(frozen=True, slots=True)
class Length:
    """How much is played of a change."""

    runs: int
    tick: int
    """Rows."""
    horizon: int
    """Rows after which a change counts as not found."""


def threshold(
    rng: np.random.Generator, detectors: Sequence[Detector], case: Case, length: Length, between: float
) -> float:
    """The evidence, as a logarithm, that calm traffic reaches once in `between` rows: measured, as the peers' settings
    are, instead of promised. `length.runs` endpoints for each of the detectors.
    """
    most = [_most(rng, detector, case, length) for detector in detectors]
    reached = np.concatenate(most, axis=1)  # (ticks, endpoints): the largest evidence so far
    low, high = 0.0, float(reached.max())
    for _ in range(40):
        middle = (low + high) / 2
        before = (reached < middle).sum(axis=0)
        rows = (before + (before < len(reached))).sum() * length.tick
        alarms = int((before < len(reached)).sum())
        low, high = (middle, high) if rows / max(alarms, 1) < between else (low, middle)
    return high


def _most(rng: np.random.Generator, detector: Detector, case: Case, length: Length) -> Floats:
    draw = even([usual(case.kind), *[usual("number")] * (case.streams - 1)], length.tick)
    log_r = np.full((length.runs, len(detector.log_weight)), NOTHING)
    path = np.empty((length.horizon // length.tick, length.runs))
    for tick in range(len(path)):
        rows, counts, _ = draw(rng, length.runs, tick)
        log_r = evolved(log_r, rows, detector.log_likelihood(counts), detector.promise)
        path[tick] = detector.log_evidence(log_r)
    return np.maximum.accumulate(path, axis=0)


def delays(
    rng: np.random.Generator, detector: Detector, case: Case, length: Length, enough: float | None = None
) -> Floats:
    """Rows from the change to the alarm, by run; infinity: none within the horizon. Each run begins at the change, with
    no evidence: the worst that can be. The case's stream comes first; numbers that do not change follow.

    `enough` is the logarithm of the evidence that makes an alarm; None: the promise's.
    """
    enough = float(np.log(detector.promise.requests)) if enough is None else enough
    log_r = np.full((length.runs, len(detector.log_weight)), NOTHING)
    found = np.full(length.runs, np.inf)
    active = np.arange(length.runs)
    for row in range(0, length.horizon, length.tick):
        shares = [case.at(row + length.tick // 2), *[usual("number")] * (case.streams - 1)]
        counts = np.concatenate([rng.multinomial(length.tick, s, len(active)) for s in shares], axis=1)
        log_r = evolved(log_r, length.tick, detector.log_likelihood(counts), detector.promise)
        alarmed = detector.log_evidence(log_r) >= enough
        found[active[alarmed]] = row + length.tick
        active, log_r = active[~alarmed], log_r[~alarmed]
        if not active.size:
            break
    return found
