"""Counts of the time that an alarm may be about: recent ticks apart, older ones together, in a bounded number of
blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fairlead.monitor.sequential.arguments import Integers

BLOCKS = 16
"""How many are kept. The start of a change is known to the length of the block that it lies in: a part of its age."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some ticks in a row."""

    start: int
    """Rows before it."""
    rows: int
    season_rows: Integers
    """Rows by season, shape (seasons,)."""
    counts: Integers
    """Cells of all streams, one after the other."""

    @property
    def end(self) -> int:
        """Rows up to its last."""
        return self.start + self.rows


def extended(blocks: tuple[Block, ...], block: Block, needed: int) -> tuple[Block, ...]:
    """`blocks` with another at the end, without those that end before row `needed`; two are joined if there are too
    many.

    The two are those whose joint length is smallest for their age, so that lengths grow with age, as those of buckets
    in Datar, Gionis, Indyk and Motwani, "Maintaining stream statistics over sliding windows", 2002.
    """
    kept = [*(old for old in blocks if old.end > needed), block]
    if len(kept) > BLOCKS:
        last = kept[-1].end
        joint = [(second.end - first.start) / (last - second.end + 1) for first, second in pairwise(kept)]
        at = int(np.argmin(joint))
        kept[at : at + 2] = [_joined(kept[at], kept[at + 1])]
    return tuple(kept)


def since(blocks: tuple[Block, ...], row: int) -> tuple[Block, ...]:
    """The blocks that start at `row` or later; the newest alone if there is none."""
    return tuple(block for block in blocks if block.start >= row) or blocks[-1:]


def _joined(first: Block, second: Block) -> Block:
    return Block(
        first.start,
        first.rows + second.rows,
        first.season_rows + second.season_rows,
        first.counts + second.counts,
    )
