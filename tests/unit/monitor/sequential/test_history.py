"""Blocks: nothing is lost but when exactly it was, and there are never more than so many."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairlead.monitor.sequential.history import BLOCKS, Block, extended, since


def chain(rows: list[int]) -> tuple[Block, ...]:
    blocks: tuple[Block, ...] = ()
    start = 0
    for size in rows:
        blocks = extended(blocks, Block(start, size, np.array([size]), np.array([size, 2 * size])), 0)
        start += size
    return blocks


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=300))
def test_blocks_are_few_follow_each_other_and_add_up(rows: list[int]) -> None:
    blocks = chain(rows)
    assert len(blocks) <= BLOCKS
    assert [block.start for block in blocks[1:]] == [block.end for block in blocks[:-1]]
    assert sum(int(block.counts[1]) for block in blocks) == 2 * sum(rows)
    assert all(block.season_rows[0] == block.rows for block in blocks)


def test_recent_ticks_are_told_apart_and_old_ones_to_a_part_of_their_age() -> None:
    blocks = chain([1] * 5_000)
    assert blocks[-1].rows == 1
    for block in blocks:
        assert block.rows <= 1 + 1.5 * (5_000 - block.end)


def test_what_is_not_needed_is_forgotten() -> None:
    blocks = chain([10, 10, 10])
    assert [block.start for block in extended(blocks, Block(30, 5, np.array([5]), np.array([5, 0])), 20)] == [20, 30]


def test_counts_since_a_row_are_those_of_whole_blocks() -> None:
    blocks = chain([10, 10, 10])
    assert [block.start for block in since(blocks, 10)] == [10, 20]
    assert [block.start for block in since(blocks, 11)] == [20]
    assert [block.start for block in since(blocks, 25)] == [20]
    assert since((), 0) == ()
