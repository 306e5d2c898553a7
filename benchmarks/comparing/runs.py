"""Both programs on the same files: each in a process of its own, with its wall time and its peak of memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.harness.layout import CACHE, ROOT
from benchmarks.peers.peer import venv_install

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HOME = CACHE / "evidently"
SOURCE = ROOT / "benchmarks" / "comparing" / "evidently"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a process wrote as JSON, its seconds from start to end and of CPU, and its peak of memory in MiB."""

    found: Any
    seconds: float
    cpu: float
    peak_mib: float


class FailedError(Exception):
    """A program ended with an error; the message has its last words."""


def install() -> None:
    """Make Evidently's environment; raises `InstallError`."""
    HOME.mkdir(parents=True, exist_ok=True)
    venv_install(HOME, SOURCE)


def version() -> str:
    """The version of Evidently that the recipe pins."""
    return (SOURCE / "requirements.txt").read_text().split()[0].split("==")[1]


def fairlead(reference: Path, current: Path, convention: str) -> Ran:
    """`fairlead monitor compare`, as a user starts it."""
    command = [sys.executable, "-m", "fairlead", "monitor", "compare", str(reference), str(current)]
    options = ["--convention", convention, "--json", "--fail-on", "never"]
    return _run([*command, *options], {"PYTHONPATH": str(ROOT / "python")})


def evidently(mode: str, reference: Path, current: Path, *more: str) -> Ran:
    """Evidently's preset or single numbers."""
    python = HOME / "bin" / "python"
    return _run([str(python), str(SOURCE / "run.py"), mode, str(reference), str(current), *more], {"DO_NOT_TRACK": "1"})


def _run(command: Sequence[str], more: Mapping[str, str]) -> Ran:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as told:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=told, env=os.environ | more)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            told.seek(0)
            lines = told.read().decode(errors="replace").strip().splitlines() or ["no words"]
            raise FailedError(f"{command[0]}: {lines[-1]}")
        out.seek(0)
        return Ran(json.load(out), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
