"""Bets against one stream: what each cell's rows multiply the evidence by.

A bet names a change: one cell more frequent, or less; ordered cells that move up, down, spread or narrow. Its factors
are scaled so that a row's expected factor is at most 1 under every distribution that is tolerated, given the limits of
the reference. So nobody gains by betting on traffic that is tolerable, and whoever gains has found drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from fairlead.monitor.sequential.arguments import Floats
from fairlead.monitor.sequential.limits import best_centre, mean_limit, share_limits, tolerant
from fairlead.monitor.sequential.streams import Stream

Kind = Literal["more", "fewer", "moved", "spread"]

_MORE = (1.15, 1.35, 2.0, 5.0, 25.0, 150.0)
"""Odds ratios of a cell that has become more frequent."""
_FEWER = (1 / 1.15, 1 / 1.35, 1 / 3, 1 / 20)
_MOVED = (-0.8, -0.3, -0.1, 0.1, 0.3, 0.8)
"""By how many standard deviations, if the reference were normal."""
_SPREAD = (-0.5, -0.15, 0.15, 0.5)
_SHAPES_FROM = 3
"""Ordered cells that it takes for a shape to be another thing than one cell."""
_SHAPE_STAKE = 0.5
_FULL_ODDS = 20.0
"""No bet that a cell's odds exceed this: a smaller bet finds that as soon."""


@dataclass(frozen=True, slots=True)
class Bet:
    """What is bet on."""

    kind: Kind
    size: float
    """Odds ratio of the cell, or how far the shape moved."""
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Bets:
    """All bets on one stream."""

    bets: tuple[Bet, ...]
    log_factor: Floats
    """Logarithm of a row's factor, shape (seasons, cells, bets); 0 throughout a season without a reference."""
    log_weight: Floats
    """Logarithms of the bets' parts of the stream's stake, shape (bets,)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is tolerated of live traffic, and the level of one limit of the reference."""

    tolerance: float
    cell_alpha: float
    shape_alpha: float


def limits_needed(stream: Stream) -> tuple[int, int]:
    """How many limits the bets on `stream` rely on: of cells' shares, of shapes' means."""
    cells = stream.seasons * 2 * len(stream.cells)
    # A shape's centre is chosen among its values once the reference is known: the limit must hold for each of them.
    return cells, stream.seasons * len(_shapes(stream)) * len(stream.cells)


def bets_on(stream: Stream, terms: Terms) -> Bets:
    """The bets on `stream`."""
    known = stream.reference.sum(axis=1) > 0
    found = [*_on_cells(stream, terms), *_on_shapes(stream, terms)]
    bets, factors = zip(*found, strict=True)
    log_factor = np.where(known[:, None, None], np.stack(factors, axis=-1), 0.0)
    return Bets(tuple(bets), log_factor, np.log(_stakes(tuple(bets))))


def _on_cells(stream: Stream, terms: Terms) -> Iterator[tuple[Bet, Floats]]:
    low, high = share_limits(stream.reference, terms.cell_alpha)
    low, high = low / (1 + terms.tolerance), np.minimum(high * (1 + terms.tolerance), 1.0)
    known = stream.reference.sum(axis=1) > 0
    for cell in range(len(stream.cells)):
        most = float(high[known, cell].max())
        for size in _MORE:
            if size * most < _FULL_ODDS * (1 - most):
                yield Bet("more", size, cell), _one_cell(stream, cell, size, high[:, cell])
        if low[known, cell].max() > 0:
            for size in _FEWER:
                yield Bet("fewer", size, cell), _one_cell(stream, cell, size, low[:, cell])


def _one_cell(stream: Stream, cell: int, size: float, limit: Floats) -> Floats:
    """`size` on one cell, 1 on the others, over their mean where the cell's share is at its `limit`: (seasons,
    cells).
    """
    hit = np.arange(len(stream.cells)) == cell
    return np.asarray(np.where(hit, np.log(size), 0.0) - np.log1p((size - 1) * limit)[:, None], dtype=np.float64)


def _on_shapes(stream: Stream, terms: Terms) -> Iterator[tuple[Bet, Floats]]:
    shapes = _shapes(stream)
    if not shapes:
        return
    log_values = np.stack([log_value for _, log_value in shapes])[:, None, :]
    values = np.broadcast_to(np.exp(log_values), (len(shapes), *stream.reference.shape))
    centre = best_centre(stream.reference, values, terms.tolerance)
    mean = mean_limit(stream.reference, tolerant(values, centre, terms.tolerance), terms.shape_alpha)
    for (bet, _), log_factor in zip(shapes, log_values - np.log(mean)[:, :, None], strict=True):
        yield bet, log_factor


def _shapes(stream: Stream) -> list[tuple[Bet, Floats]]:
    """Bets on shapes with the logarithms of their values, (cells,): 0 on cells that are not ordered.

    They depend on the number of cells alone, not on what was counted: the limits hold for values fixed beforehand.
    """
    if stream.ordered < _SHAPES_FROM:
        return []
    place = np.zeros(len(stream.cells))
    place[: stream.ordered] = special.ndtri((np.arange(stream.ordered) + 0.5) / stream.ordered)
    wide = np.zeros(len(stream.cells))
    wide[: stream.ordered] = (place[: stream.ordered] ** 2 - 1) / 2
    moved: list[tuple[Bet, Floats]] = [(Bet("moved", size), size * place) for size in _MOVED]
    return moved + [(Bet("spread", size), size * wide) for size in _SPREAD]


def _stakes(bets: tuple[Bet, ...]) -> Floats:
    """Half on shapes, half on cells, evenly over the cells; all of it on what there is."""
    shapes = sum(bet.cell is None for bet in bets)
    cells = len({bet.cell for bet in bets} - {None})
    by_cell = {cell: sum(bet.cell == cell for bet in bets) for cell in {bet.cell for bet in bets}}
    on_shapes = (_SHAPE_STAKE if cells else 1.0) if shapes else 0.0
    stakes = [on_shapes / shapes if bet.cell is None else (1 - on_shapes) / cells / by_cell[bet.cell] for bet in bets]
    return np.asarray(stakes, dtype=np.float64)
