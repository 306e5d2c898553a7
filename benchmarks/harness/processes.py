"""Server processes: started in their own process group, measured from /proc, ended on every way out."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import http.client
import os
import resource
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

_PR_SET_CHILD_SUBREAPER = 36
_TICKS = os.sysconf("SC_CLK_TCK")
_LIBC = ctypes.CDLL(None, use_errno=True)
_running: list[Server] = []


class ServerError(Exception):
    """A server did not start or ended by itself; the message has the end of its output."""


@dataclass(frozen=True, slots=True)
class Command:
    """How a server is started."""

    argv: Sequence[str]
    port: int
    ready_path: str
    """A GET of it answers 200 when the server can serve."""
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    patience_s: float = 90.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree has used so far."""

    cpu_s: float
    peak_rss_mb: float


class Server:
    """A started server and its process tree."""

    def __init__(self, command: Command, output: Path) -> None:
        """Start `command` with its output in the file `output`, and wait until it is ready."""
        self.command = command
        self._output = output
        output.parent.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        with output.open("wb") as sink:
            self._process = subprocess.Popen(
                list(command.argv),
                cwd=command.folder,
                env={**os.environ, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._mourner = _mourner(self._process.pid)
        _running.append(self)
        self._seen: set[int] = set()
        try:
            self._wait_until_ready(started)
        except BaseException:
            self.stop()
            raise
        self.ready_s = time.perf_counter() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_ready(self, started: float) -> None:
        while True:
            if self._process.poll() is not None:
                raise ServerError(f"it ended with {self._process.returncode}: {self.last_words()}")
            if _answers_200(self.command.port, self.command.ready_path):
                return
            if time.perf_counter() - started > self.command.patience_s:
                raise ServerError(f"not ready after {self.command.patience_s:g} s: {self.last_words()}")
            time.sleep(0.005)

    def last_words(self) -> str:
        """The end of the server's output, on one line."""
        text = self._output.read_text(errors="replace").strip()
        return " | ".join(line.strip() for line in text.splitlines()[-6:])[-600:]

    def usage(self) -> Usage:
        """CPU time of the whole tree since its start, and the sum of its processes' peak memory."""
        cpu, peak = 0.0, 0.0
        for pid in self._tree():
            with contextlib.suppress(OSError):
                cpu += _cpu_seconds(pid)
                peak += _peak_mb(pid)
        return Usage(cpu, peak)

    def resident_mb(self) -> float:
        """The tree's resident memory now."""
        total = 0.0
        for pid in self._tree():
            with contextlib.suppress(OSError):
                total += _status_kb(pid, "VmRSS") / 1024
        return total

    def _tree(self) -> set[int]:
        tree = {self._process.pid, *_descendants(self._process.pid)}
        self._seen |= tree
        return tree

    def stop(self) -> int | None:
        """End the whole tree: SIGTERM and, after ten seconds, SIGKILL. The exit code of its first process."""
        if self not in _running:
            return self._process.returncode
        self._tree()
        _signal_group(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        _signal_group(self._process.pid, signal.SIGKILL)
        for pid in self._seen - {self._process.pid}:
            # A process that left the group; its number is still ours only while it is our descendant.
            if pid in _descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        _running.remove(self)
        self._mourner.kill()
        self._mourner.communicate()
        _reap()
        return self._process.returncode


def guard() -> None:
    """Make every way out of this program end the servers; call it once, from the main thread."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # thousands of connections, on both sides
    atexit.register(_stop_all)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _stop_all() -> None:
    while _running:
        _running[-1].stop()


def _mourner(leader: int) -> subprocess.Popen[bytes]:
    """A shell that waits for this program's end, even by SIGKILL, and then ends the group of `leader`."""
    script = ["sh", "-c", 'read _; kill -s KILL -- "-$1"', "sh", str(leader)]
    return subprocess.Popen(script, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)


def _reap() -> None:
    """Collect orphans that ended: as subreaper we are their parent now."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _answers_200(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _descendants(root: int) -> Iterator[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    todo = [root]
    while todo:
        children = parents.get(todo.pop(), [])
        yield from children
        todo += children


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from `state` on: the command before it may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its children that ended."""
    return sum(map(int, _stat(pid)[11:15])) / _TICKS


def _status_kb(pid: int, key: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return float(line.split()[1])
    return 0.0


def _peak_mb(pid: int) -> float:
    return _status_kb(pid, "VmHWM") / 1024
