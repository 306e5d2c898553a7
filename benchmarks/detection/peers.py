"""ADWIN, KSWIN and Page-Hinkley of river, installed into an environment of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.detection.worlds import Case
from benchmarks.harness.layout import CACHE
from benchmarks.peers.peer import InstallError, venv_install

SOURCE = Path(__file__).resolve().parent / "peer"
LIMIT_S = 7_200


@dataclass(frozen=True, slots=True)
class Job:
    """How much is measured."""

    between: float
    """Rows per false alarm that each detector is set to."""
    rows: int
    """Calm rows on which it is set, for each stream."""
    runs: int
    horizon: int
    seed: int


def measured(job: Job, cases: Sequence[Case]) -> dict[str, dict[str, Any]]:
    """By case and detector: `setting`, `between` (rows per false alarm), `delays`. Raises `InstallError`."""
    home = CACHE / "detection"
    venv_install(home, SOURCE)
    names = ("between", "rows", "runs", "horizon", "seed")
    order = {name: getattr(job, name) for name in names} | {"cases": [case.as_json() for case in cases]}
    done = subprocess.run(
        [str(home / "bin" / "python"), str(SOURCE / "measure.py")],
        check=False,
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    if done.returncode != 0:
        raise InstallError((done.stderr.strip() or "no output").splitlines()[-1][:200])
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found
