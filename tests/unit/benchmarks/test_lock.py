"""Benchmarks do not run side by side."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness.lock import BusyError, alone

HOLDER = """
import pathlib, sys
from benchmarks.harness.lock import alone
with alone(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_benchmark_is_told_who_runs_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=rf"process {holder.pid}\b"), alone(path):
            pass
        holder.kill()
    with alone(path):
        pass
    with alone(path):
        pass
