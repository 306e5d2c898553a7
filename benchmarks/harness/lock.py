"""One benchmark at a time: two would measure each other, and share a model's folder and a log's."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.harness.layout import CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class BusyError(Exception):
    """Another benchmark runs; the message names its process."""


@contextmanager
def alone(path: Path = CACHE / "lock") -> Iterator[None]:
    """Hold the benchmarks' lock; raises `BusyError` where another process has it. It ends with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "?"
            raise BusyError(f"another benchmark is running (process {owner}); both would measure each other") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
