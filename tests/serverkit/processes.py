"""Processes as /proc shows them: who descends from whom, how much memory and how many threads they have."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_MEGABYTE = 1024.0


@dataclass(frozen=True)
class Family:
    """Processes by pid and start time, so that a pid that was given away again is not taken for them."""

    members: frozenset[tuple[int, str]]

    def living(self) -> list[int]:
        """Return the pids of those that still run; a zombie does not."""
        return [pid for pid, started in self.members if _identity(pid) == (pid, started)]

    def kill(self) -> None:
        """End all that still run."""
        for pid in self.living():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Processes:
    """What runs under one process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def descendants(self) -> Family:
        """Return all processes below this one."""
        children: dict[int, list[int]] = {}
        for pid, parent in _parents():
            children.setdefault(parent, []).append(pid)
        found, waiting = [], [self._pid]
        while waiting:
            below = children.get(waiting.pop(), [])
            found += below
            waiting += below
        identities = (_identity(pid) for pid in found)
        return Family(frozenset(identity for identity in identities if identity is not None))

    def threads(self) -> list[str]:
        """Return the names of the process's threads, sorted."""
        names = []
        for task in (_PROC / str(self._pid) / "task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                names.append((task / "comm").read_text().strip())
        return sorted(names)

    def memory_mb(self) -> float:
        """Return the resident memory of the process itself, in MB."""
        status = (_PROC / str(self._pid) / "status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return float(line.split()[1]) / _MEGABYTE


def _fields(pid: int) -> list[str] | None:
    with suppress(FileNotFoundError, ProcessLookupError):
        # The name in parentheses may hold anything; what follows it is plain.
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return None


def _identity(pid: int) -> tuple[int, str] | None:
    fields = _fields(pid)
    return None if fields is None or fields[0] == "Z" else (pid, fields[19])


def _parents() -> Iterator[tuple[int, int]]:
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            fields = _fields(int(entry.name))
            if fields is not None:
                yield int(entry.name), int(fields[1])
