"""One tick after the other: the evidence that an endpoint's traffic has drifted, and whether it suffices.

For each bet, with n rows in the tick and L the product of its factors over them,

    R <- (R + min(n, N / 100)) L

so that every row (every tick, where ticks are large) begins a bet of its own, and a change is found whenever it begins.
Alarm: the weighted mean of R over all bets of all streams reaches N. While every row's distribution, given the past, is
tolerable, mean R minus the rows seen is a supermartingale, and so the expected number of rows up to the alarm is at
least N: under any dependence between streams, for ticks of any size, however often one looks. After an alarm all begins
anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from fairlead.monitor.sequential.arguments import Floats, Integers, counts, require
from fairlead.monitor.sequential.bets import Bets, Terms, bets_on, limits_needed
from fairlead.monitor.sequential.history import Block, extended
from fairlead.monitor.sequential.streams import Stream

NOTHING = -1_000.0
"""The logarithm of no evidence; what a tick adds is more by hundreds of orders of magnitude."""
_STARTS = 1e-2
"""Of N, the most that the rows of one tick begin with: an alarm from a single tick needs evidence of a hundred to one,
however large the tick is.
"""


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised, and on which terms."""

    requests: float = 1e6
    """N: at most one false alarm in so many requests, on average."""
    tolerance: float = 0.1
    """Drift is what changes the share of a cell by more than this, as a ratio: 0.1 tolerates 1 / 1.1 to 1.1 times."""
    risk: float = 0.01
    """The probability that the reference sample is so unlike its population that the promise fails."""
    cluster: int = 1
    """How many rows of one tick may come from one source (a customer's burst). Evidence is divided by it."""

    def __post_init__(self) -> None:
        require(10 <= self.requests < np.inf, "requests", "a finite number from 10", self.requests)
        require(0 <= self.tolerance < np.inf, "tolerance", "a finite number from 0", self.tolerance)
        require(0 < self.risk < 1, "risk", "a number strictly between 0 and 1", self.risk)
        require(self.cluster >= 1, "cluster", "a whole number from 1", self.cluster)


@dataclass(frozen=True, slots=True)
class Tick:
    """What all replicas together counted since the last tick."""

    rows: int
    counts: Mapping[str, Sequence[int]]
    """Rows by cell, for each stream; a stream that is not named was not counted."""
    season: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """What is kept between ticks. Values: arrays are never changed in place."""

    rows: int
    ticks: int
    log_r: Floats
    """Evidence of each bet, of all streams one after the other."""
    log_best: Floats
    """Evidence of each bet from its likeliest beginning: a CUSUM, which dates the change."""
    begun: Integers
    """Rows before that beginning."""
    blocks: tuple[Block, ...] = ()


class Detector:
    """Bets on every stream of an endpoint, compiled. Without state: `advance` takes it and gives it back."""

    def __init__(self, streams: Sequence[Stream], promise: Promise | None = None) -> None:
        """Raises `BadInputError` for streams that have one name, or numbers of seasons other than 1 and one other."""
        self.promise = promise or Promise()
        self.streams = tuple(streams)
        require(bool(self.streams), "streams", "1 or more", "none")
        names = [stream.name for stream in self.streams]
        require(len(set(names)) == len(names), "streams", "names that differ", names)
        several = {stream.seasons for stream in self.streams} - {1}
        require(len(several) <= 1, "streams", "one number of seasons, or one season", sorted(several))
        self.seasons = next(iter(several), 1)
        self.bets = compiled(self.streams, self.promise)
        weights = np.array([stream.weight for stream in self.streams])
        stakes = np.log(weights / weights.sum())
        self.log_weight = np.concatenate([b.log_weight + stake for b, stake in zip(self.bets, stakes, strict=True)])
        self.bet_bounds = np.cumsum([0, *(len(found.bets) for found in self.bets)])
        self.cell_bounds = np.cumsum([0, *(len(stream.cells) for stream in self.streams)])
        self.identity = _identity(self.streams, self.promise)

    def start(self) -> State:
        """Nothing seen yet."""
        size = len(self.log_weight)
        return State(0, 0, np.full(size, NOTHING), np.full(size, NOTHING), np.zeros(size, dtype=np.int64))

    def advance(self, state: State, tick: Tick) -> State:
        """The state after `tick`. A tick without rows changes nothing. Raises `BadInputError`."""
        cells = self.checked(tick)
        if tick.rows == 0:
            return state
        log_l = self.log_likelihood(cells, tick.season)
        anew = state.log_best <= 0
        begun = np.where(anew, state.rows, state.begun)
        best = np.maximum(np.where(anew, 0.0, state.log_best) + log_l, NOTHING)
        running = begun[best > 0]
        by_season = np.zeros(self.seasons, dtype=np.int64)
        by_season[tick.season % self.seasons] = tick.rows
        block = Block(state.rows, tick.rows, by_season, cells)
        needed = int(running.min()) if running.size else state.rows
        return State(
            state.rows + tick.rows,
            state.ticks + 1,
            evolved(state.log_r, tick.rows, log_l, self.promise),
            best,
            begun,
            extended(state.blocks, block, needed),
        )

    def log_likelihood(self, cells: ArrayLike, season: int = 0) -> Floats:
        """The logarithm of L of each bet, shape (..., bets), from `cells` (..., cells) of all streams in order."""
        found = np.asarray(cells, dtype=np.float64)
        parts = [
            found[..., start:end] @ bets.log_factor[season % len(bets.log_factor)]
            for bets, start, end in zip(self.bets, self.cell_bounds, self.cell_bounds[1:], strict=False)
        ]
        return np.asarray(np.concatenate(parts, axis=-1) / self.promise.cluster, dtype=np.float64)

    def log_evidence(self, log_r: Floats) -> Floats:
        """The logarithm of the weighted mean over all bets, from (..., bets)."""
        return _log_mean(log_r, self.log_weight)

    def alarms(self, state: State) -> bool:
        """Whether the evidence suffices."""
        return bool(self.log_evidence(state.log_r) >= np.log(self.promise.requests))

    def stream_evidence(self, log_r: Floats) -> Floats:
        """As `log_evidence`, of each stream by itself, shape (..., streams); its stake counts as a whole."""
        parts = [
            _log_mean(log_r[..., start:end], bets.log_weight) if end > start else np.full(log_r.shape[:-1], NOTHING)
            for bets, start, end in zip(self.bets, self.bet_bounds, self.bet_bounds[1:], strict=False)
        ]
        return np.stack(parts, axis=-1)

    def checked(self, tick: Tick) -> Integers:
        """The counts of all streams one after the other. Raises `BadInputError` for counts that do not fit."""
        require(tick.rows >= 0, "rows", "a whole number from 0", tick.rows)
        require(0 <= tick.season < self.seasons, "season", f"0 to {self.seasons - 1}", tick.season)
        unknown = sorted(set(tick.counts) - {stream.name for stream in self.streams})
        require(not unknown, "counts", "streams that are watched", unknown)
        found = np.zeros(self.cell_bounds[-1], dtype=np.int64)
        for stream, start in zip(self.streams, self.cell_bounds, strict=False):
            if stream.name in tick.counts:
                name, size = f"counts of `{stream.name}`", len(stream.cells)
                values = counts(name, tick.counts[stream.name])
                require(values.shape == (size,), name, f"{size} cells", f"shape {values.shape}")
                require(int(values.sum()) <= tick.rows, name, f"at most the tick's {tick.rows} rows", values.sum())
                found[start : start + size] = values
        return found


def evolved(log_r: Floats, rows: int, log_l: Floats, promise: Promise) -> Floats:
    """Evidence after a tick of `rows` rows, from that before it; (..., bets)."""
    starts = np.log(min(float(rows), _STARTS * promise.requests) if rows else 1e-300)
    return np.maximum(np.logaddexp(log_r, starts) + log_l, NOTHING)


def _log_mean(log_r: Floats, log_weight: Floats) -> Floats:
    """The logarithm of the weighted mean of e^`log_r` over the last axis."""
    most = log_r.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(log_r - most) @ np.exp(log_weight)) + most[..., 0], dtype=np.float64)


def compiled(streams: Sequence[Stream], promise: Promise) -> list[Bets]:
    """The bets on every stream. The risk of the reference is divided evenly: half to cells, half to shapes."""
    needed = np.array([limits_needed(stream) for stream in streams]).sum(axis=0)
    alphas = promise.risk / 2 / np.maximum(needed, 1)
    terms = Terms(promise.tolerance, float(alphas[0]), float(alphas[1]))
    return [bets_on(stream, terms) for stream in streams]


def restarted(detector: Detector, state: State) -> State:
    """All begins anew, as after an alarm; rows and ticks are counted on."""
    fresh = detector.start()
    return replace(fresh, rows=state.rows, ticks=state.ticks, begun=np.full_like(fresh.begun, state.rows))


def _identity(streams: Sequence[Stream], promise: Promise) -> str:
    """A digest of all that evidence depends on: evidence of one detector means nothing to another."""
    digest = hashlib.sha256(repr(promise).encode())
    for stream in streams:
        digest.update(repr((stream.name, stream.cells, stream.ordered, stream.weight)).encode())
        digest.update(repr(stream.reference.tolist()).encode())
    return digest.hexdigest()
