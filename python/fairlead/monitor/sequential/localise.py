"""Where an alarm comes from: streams and cells, since when, how large.

The alarm is about the endpoint: that is what the promise covers. Which streams it comes from has a rule for many of
them at once: e-d-BH of Dandapanthula and Ramdas, "Multiple testing in multistream sequential change detection" (arXiv
2501.04130). When the change began is an estimate: the beginning that makes the strongest bet strongest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairlead.monitor.sequential.arguments import Floats
from fairlead.monitor.sequential.bets import Bet
from fairlead.monitor.sequential.detector import Detector, State
from fairlead.monitor.sequential.history import since

_FLOOR = 1e-12


@dataclass(frozen=True, slots=True)
class CellShift:
    """One cell of a stream since the change."""

    cell: str
    rows: int
    share: float
    reference: float
    """Share in the reference, in the same mixture of seasons."""

    @property
    def ratio(self) -> float | None:
        """How many times as frequent as in the reference; None: the reference has none."""
        return self.share / self.reference if self.reference > 0 else None


@dataclass(frozen=True, slots=True)
class Part:
    """One stream's part of an alarm."""

    stream: str
    named: bool
    """Whether it is among the streams of the alarm, by e-d-BH."""
    part: float
    """Of the endpoint's evidence, 0 to 1."""
    log_evidence: float
    bet: Bet
    """The strongest."""
    cell: str | None
    """That the strongest bet is on; None: on the shape."""
    rows_ago: int
    """How many rows ago the change began."""
    rows: int
    """From which the shifts are: those of whole blocks since then."""
    total_variation: float
    """Of all cells' shares from the reference's, 0 to 1; noise included, which is about sqrt(cells / rows) / 2."""
    shifts: tuple[CellShift, ...]
    """All cells, those that speak loudest for the change first."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """The traffic of an endpoint is not what it was."""

    log_evidence: float
    row: int
    """Rows seen when it was raised."""
    rows_ago: int
    """How many rows ago the change began: of the strongest part."""
    parts: tuple[Part, ...]
    """Every stream, strongest first."""

    @property
    def named(self) -> tuple[Part, ...]:
        """Those of e-d-BH; if there is none, the strongest."""
        return tuple(part for part in self.parts if part.named) or self.parts[:1]


def alarm(detector: Detector, state: State) -> Alarm:
    """Explain the evidence in `state`, whether or not it suffices for an alarm."""
    by_stream = detector.stream_evidence(state.log_r)
    stakes = np.log([stream.weight for stream in detector.streams])
    stakes = stakes - np.log(np.exp(stakes).sum())
    whole = float(detector.log_evidence(state.log_r))
    chosen = named(by_stream + stakes, float(np.log(detector.promise.requests)))
    parts = [
        _part(detector, state, i, bool(chosen[i]), float(np.exp(by_stream[i] + stakes[i] - whole)))
        for i in range(len(detector.streams))
    ]
    parts.sort(key=lambda part: -part.part)
    return Alarm(whole, state.rows, parts[0].rows_ago, tuple(parts))


def named(log_staked: Floats, log_requests: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which streams to name (e-d-BH): the k with the most evidence, for the largest k of which each has N / k.

    `log_staked`: logarithms of the streams' evidence times their stakes, which sum to 1.
    """
    order = np.argsort(-log_staked, kind="stable")
    enough = np.flatnonzero(log_staked[order] >= log_requests - np.log(np.arange(1, len(order) + 1)))
    chosen = np.zeros(len(order), dtype=np.bool_)
    if enough.size:
        chosen[order[: enough[-1] + 1]] = True
    return chosen


def _part(detector: Detector, state: State, index: int, is_named: bool, part: float) -> Part:
    stream, bets = detector.streams[index], detector.bets[index]
    mine = slice(detector.bet_bounds[index], detector.bet_bounds[index + 1])
    best = int(np.argmax(state.log_r[mine] + bets.log_weight))
    begun = int(state.begun[mine][best])
    bet = bets.bets[best]
    counted, expected = _since(detector, state, index, begun)
    total = int(counted.sum())
    share = counted / max(total, 1)
    louder = share * np.log(np.maximum(share, _FLOOR) / np.maximum(expected, _FLOOR)) - share + expected
    shifts = tuple(
        CellShift(stream.cells[k], int(counted[k]), float(share[k]), float(expected[k]))
        for k in np.argsort(-louder, kind="stable")
    )
    return Part(
        stream=stream.name,
        named=is_named,
        part=part,
        log_evidence=float(detector.stream_evidence(state.log_r)[index]),
        bet=bet,
        cell=None if bet.cell is None else stream.cells[bet.cell],
        rows_ago=state.rows - begun,
        rows=total,
        total_variation=float(np.abs(share - expected).sum() / 2) if total else 0.0,
        shifts=shifts,
    )


def _since(detector: Detector, state: State, index: int, row: int) -> tuple[Floats, Floats]:
    """A stream's counts since `row`, and the reference's shares in the same mixture of seasons."""
    stream = detector.streams[index]
    mine = slice(detector.cell_bounds[index], detector.cell_bounds[index + 1])
    blocks = since(state.blocks, row)
    counted = sum((block.counts[mine].astype(np.float64) for block in blocks), np.zeros(len(stream.cells)))
    seasons = sum((block.season_rows.astype(np.float64) for block in blocks), np.zeros(detector.seasons))
    reference = stream.reference.astype(np.float64)
    if stream.seasons == 1:
        seasons = np.array([1.0])
    known = reference.sum(axis=1) > 0
    mixture = np.where(known, seasons, 0.0)
    if mixture.sum() == 0:
        mixture = known.astype(np.float64)
    shares = reference / np.maximum(reference.sum(axis=1, keepdims=True), 1)
    return counted, np.asarray(mixture @ shares / mixture.sum(), dtype=np.float64)
