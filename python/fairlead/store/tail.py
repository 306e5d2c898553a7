"""The prediction log of one endpoint as it grows: each row once, for whoever keeps up with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from fairlead.store.segments import CLOSED, Progress, look_at, read_batches, stems_of

COLUMNS = ("id", "time", "version", "unit", "decision")


@dataclass(slots=True)
class LogTail:
    """Where reading stands. A failure leaves it where it was: what is not read now is read at the next attempt."""

    directory: Path
    endpoint: str
    since_us: int = 0
    """Segments that were closed before then are passed over."""
    more: bool = False
    """Whether the last reading stopped at its limit."""
    _read: dict[Path, Progress] = field(default_factory=dict)
    _done: set[Path] = field(default_factory=set)

    def read(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield what was written since the last reading, of `COLUMNS`: whole batches, until there are `rows`.

        Raises `BadInputError` where there is no log, `LogError` where it cannot be read.
        """
        found, self.more = 0, False
        for stem in stems_of(self.directory, self.endpoint):
            if stem in self._done:
                continue
            for batch in self._of(stem):
                yield batch.select(list(COLUMNS))
                found += batch.num_rows
                if found >= rows:
                    self.more = True
                    return

    def _of(self, stem: Path) -> Iterator[pa.RecordBatch]:
        closed = stem.with_name(stem.name + CLOSED)
        # Looked for before the rows are: a segment that is closed does not grow any more.
        ended_us = _changed_us(closed)
        if ended_us is not None and ended_us < self.since_us:
            self._done.add(stem)
            return
        segment = look_at(stem)
        if segment is None:
            return
        progress = self._read.setdefault(stem, Progress())
        yield from read_batches(segment, progress)
        if ended_us is not None:
            self._done.add(stem)
            del self._read[stem]


def _changed_us(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns // 1_000
    except OSError:
        return None
