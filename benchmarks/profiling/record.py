"""`perf record` on a running server, for exactly as long as it is wanted."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.profiling.samples import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FREQUENCY = 1_999
"""Samples a second of CPU; a prime, so that it does not run in step with anything periodic."""
_PATIENCE_S = 30
_LIMIT_S = 600


class PerfError(Exception):
    """perf is missing, may not look, or failed; the message has its last words."""


def ensure_perf() -> None:
    """Install Debian's linux-perf where perf is missing and we may; raises `PerfError` where there is still none."""
    if not _works() and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "linux-perf"]):
            subprocess.run(["apt-get", *arguments], check=False, capture_output=True, timeout=_LIMIT_S)
    if not _works():
        raise PerfError("perf does not run here: install it (Debian: apt-get install linux-perf), or run this as root")


def version() -> str:
    """The version as perf tells it."""
    return subprocess.run(["perf", "--version"], check=True, capture_output=True, text=True).stdout.split()[-1]


def _works() -> bool:
    if shutil.which("perf") is None:
        return False
    # A distribution's wrapper may be there without a perf for this kernel.
    return subprocess.run(["perf", "--version"], check=False, capture_output=True).returncode == 0


@contextmanager
def sampling(pid: int, output: Path) -> Iterator[None]:
    """Sample all threads of `pid` within the block; the samples are in `output` after it. Raises `PerfError`."""
    command_read, command_write = os.pipe()
    answer_read, answer_write = os.pipe()
    argv = ["perf", "record", "-e", "cpu-clock", "-F", str(FREQUENCY), "-g", "-p", str(pid), "-D", "-1"]
    argv += ["--control", f"fd:{command_read},{answer_write}", "-o", str(output)]
    words = output.with_suffix(".txt")
    with words.open("w") as sink:
        process = subprocess.Popen(argv, pass_fds=(command_read, answer_write), stdout=subprocess.DEVNULL, stderr=sink)
    os.close(command_read)
    os.close(answer_write)
    try:
        _order(command_write, answer_read, "enable", words)
        yield
        _order(command_write, answer_read, "disable", words)
        process.send_signal(signal.SIGINT)
        process.wait(_PATIENCE_S)
        if not output.exists():
            raise PerfError(f"perf record wrote nothing: {_last(words.read_text())}")
    finally:
        process.kill()
        process.wait()
        os.close(command_write)
        os.close(answer_read)


def _order(command: int, answer: int, word: str, words: Path) -> None:
    """Tell perf to do something and wait until it has done so; an end of its answers is its end."""
    with contextlib.suppress(BrokenPipeError):
        os.write(command, f"{word}\n".encode())
        ready, _, _ = select.select([answer], [], [], _PATIENCE_S)
        if ready and os.read(answer, 64):
            return
    raise PerfError(f"perf record does not {word}: {_last(words.read_text())}")


def script(recorded: Path) -> str:
    """The samples as text, for `samples.parse`. Raises `PerfError`."""
    argv = ["perf", "script", "--no-inline", "-F", FIELDS, "-i", str(recorded)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, errors="replace", timeout=_LIMIT_S)
    if done.returncode != 0:
        raise PerfError(f"perf script: {_last(done.stderr)}")
    return done.stdout


def _last(words: str) -> str:
    return " | ".join(line.strip() for line in words.strip().splitlines()[-4:])[-400:]
