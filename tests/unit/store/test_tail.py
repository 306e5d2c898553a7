"""Keeping up with a log that grows: every row once, whatever the writer does meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import ipc

from fairlead.errors import BadInputError, LogError
from fairlead.store.tail import COLUMNS, LogTail

ALL = 1_000_000


def ids(tail: LogTail, rows: int = ALL) -> list[int]:
    found = []
    for batch in tail.read(rows):
        assert batch.schema.names == list(COLUMNS)
        found += [value.int for value in batch.column("id").to_pylist()]
    return found


class Writing:
    """A segment that is being written."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self.path: Path = log.raw(b"", closed=False)
        self._file = self.path.open("ab", buffering=0)
        self._writer = ipc.new_stream(pa.PythonFile(self._file, mode="w"), log.schema)

    def write(self, rows: int) -> None:
        self._writer.write_batch(self._log.batch(rows))

    def close(self) -> None:
        self._writer.close()
        self._file.close()
        self.path.rename(self.path.with_name(self.path.name.removesuffix(".open")))


def test_each_row_is_read_once_while_the_segment_grows_and_after_it_is_closed(log: Any) -> None:
    tail, segment = LogTail(log.directory, "fraud"), Writing(log)
    assert ids(tail) == []
    segment.write(3)
    assert ids(tail) == [0, 1, 2]
    assert ids(tail) == []
    segment.write(2)
    segment.write(1)
    assert ids(tail) == [3, 4, 5]
    segment.write(2)
    segment.close()
    assert ids(tail) == [6, 7]
    log.segment(log.batch(2))
    assert ids(tail) == [8, 9]
    assert ids(tail) == []


def test_reading_stops_at_its_limit_and_goes_on_there(log: Any) -> None:
    log.segment(log.batch(3), log.batch(3), log.batch(3))
    log.segment(log.batch(3))
    tail = LogTail(log.directory, "fraud")
    parts = [(ids(tail, 4), tail.more) for _ in range(3)]
    assert parts == [(list(range(6)), True), (list(range(6, 12)), True), ([], False)]


def test_a_batch_that_is_not_whole_yet_is_read_when_it_is(log: Any) -> None:
    content = log.segment(log.batch(2), log.batch(2)).read_bytes()
    path = log.raw(content[:-40], endpoint="other", closed=False)
    tail = LogTail(log.directory, "other")
    assert ids(tail) == [0, 1]
    path.write_bytes(content)
    assert ids(tail) == [2, 3]


def test_other_endpoints_are_passed_over_and_one_without_a_folder_has_no_rows(log: Any) -> None:
    log.segment(log.batch(2), endpoint="other")
    assert ids(LogTail(log.directory, "fraud")) == []


def test_what_was_closed_long_before_is_passed_over(log: Any) -> None:
    old = log.segment(log.batch(2))
    new = log.segment(log.batch(2))
    os.utime(old, (1_000, 1_000))
    os.utime(new, (2_000, 2_000))
    assert ids(LogTail(log.directory, "fraud", since_us=1_500_000_000)) == [2, 3]


def test_a_segment_that_retention_removes_is_no_error(log: Any) -> None:
    first = log.segment(log.batch(2), log.batch(2))
    log.segment(log.batch(2))
    tail = LogTail(log.directory, "fraud")
    assert ids(tail, 1) == [0, 1]
    first.unlink()
    assert ids(tail) == [4, 5]


def test_a_log_that_is_away_or_damaged_is_an_error_each_time(log: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no prediction log"):
        ids(LogTail(tmp_path / "nowhere", "fraud"))
    content = bytearray(log.segment(log.batch(2), log.batch(2)).read_bytes())
    path = log.raw(bytes(content), endpoint="bad")
    tail = LogTail(log.directory, "bad")
    assert ids(tail, 1) == [0, 1]
    reader = ipc.open_stream(pa.BufferReader(bytes(content)))
    reader.read_next_batch()
    damaged = bytes(content).rfind(b"\xff\xff\xff\xff", 0, -8)
    content[damaged + 8 : damaged + 200] = bytes(192)
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(LogError, match="damaged"):
            ids(tail)
