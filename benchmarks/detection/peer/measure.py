"""River's detectors on the same distributions, in an environment of their own: a job on stdin, figures on stdout.

Each detector's threshold is set so that on calm traffic it alarms once in as many rows as the job says, which is
measured, not believed. Then rows from the change to the next alarm, after rows without change to learn from.
"""

from __future__ import annotations

import itertools
import json
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from river import drift
from river.drift import kswin
from scipy import stats

Make = Callable[[float], Any]
CLEAN = 5_000
WINDOW = 30
"""KSWIN's, of recent values."""
GRIDS: dict[str, list[float]] = {
    "ADWIN": np.geomspace(0.99, 1e-4, 28).tolist(),
    "Page-Hinkley": np.geomspace(0.5, 2_000, 64).tolist(),
    "KSWIN": np.geomspace(0.05, 1e-9, 60).tolist(),
}
"""From the most to the least sensitive."""
MAKERS: dict[str, Make] = {
    "ADWIN": lambda delta: drift.ADWIN(delta=delta),
    "Page-Hinkley": lambda threshold: drift.PageHinkley(threshold=threshold),
    "KSWIN": lambda alpha: drift.KSWIN(alpha=alpha, stat_size=WINDOW, seed=1),
}


def main() -> None:
    """Answer the job."""
    job = json.load(sys.stdin)
    _quicken()
    rng = np.random.default_rng(job["seed"])
    found: dict[str, Any] = {}
    for name, make in MAKERS.items():
        settings: dict[tuple[str, int], tuple[float, float]] = {}
        for case in job["cases"]:
            streams = case["streams"]
            if name == "KSWIN" and streams > 1:
                continue  # too slow to set for a false alarm in so many rows
            key = (case["kind"], streams)
            if key not in settings:
                settings[key] = _set(rng, name, case["kind"], job["between"] * streams, job["rows"] * streams)
            chosen, between = settings[key]
            delays = [_delay(rng, make, chosen, case, job["horizon"]) for _ in range(job["runs"])]
            found.setdefault(case["name"], {})[name] = {
                "setting": chosen,
                "between": between / streams,
                "delays": delays,
            }
    json.dump(found, sys.stdout)


def _set(rng: np.random.Generator, name: str, kind: str, between: float, rows: int) -> tuple[float, float]:
    """The most sensitive setting with no more than one false alarm in `between` rows, and how many it has."""
    values = next(_values(rng, {"kind": kind}, rows, 0, calm=True)).tolist()
    low, high = 0, len(GRIDS[name]) - 1
    measured = {high: _between(MAKERS[name](GRIDS[name][high]), values)}
    while low < high:
        middle = (low + high) // 2
        measured[middle] = _between(MAKERS[name](GRIDS[name][middle]), values)
        low, high = (low, middle) if measured[middle] >= between else (middle + 1, high)
    return GRIDS[name][high], measured[high]


def _between(detector: Any, values: list[float]) -> float:
    alarms = 0
    for value in values:
        detector.update(value)
        alarms += detector.drift_detected
    return len(values) / max(alarms, 1)


def _delay(rng: np.random.Generator, make: Make, setting: float, case: dict[str, Any], horizon: int) -> float | None:
    """Rows from the change to the next alarm of any stream; None: not within `horizon`."""
    first: float | None = None
    streams = _values(rng, case, CLEAN, horizon, calm=False)
    for values in itertools.islice(streams, case["streams"]):
        detector = make(setting)
        for row, value in enumerate(values.tolist()):
            detector.update(value)
            if row >= CLEAN and detector.drift_detected:
                first = row + 1 - CLEAN if first is None else min(first, row + 1 - CLEAN)
                break
            if first is not None and row >= CLEAN + first:
                break
    return first


def _values(rng: np.random.Generator, case: dict[str, Any], clean: int, horizon: int, *, calm: bool) -> Iterator[Any]:
    """The stream that changes, then streams that do not: `clean` rows, then `horizon` rows."""
    part = np.concatenate([np.zeros(clean), _part(case, horizon)]) if not calm else np.zeros(clean)
    while True:
        size = len(part)
        if case["kind"] == "missing":  # they are told what to look at
            yield (rng.random(size) < 0.01 + part * (case.get("missing", 0.01) - 0.01)).astype(float)
        elif case["kind"] == "score":
            fraud = rng.random(size) < 0.1 + part * (case.get("fraud", 0.1) - 0.1)
            yield np.where(fraud, rng.beta(8, 2, size), rng.beta(2, 8, size))
        else:
            yield rng.normal(part * case.get("shift", 0), 1 + part * (case.get("scale", 1) - 1))
        part = np.zeros_like(part)


def _part(case: dict[str, Any], horizon: int) -> Any:
    return np.minimum(np.arange(horizon) / case["ramp"], 1.0) if case["ramp"] else np.ones(horizon)


def _quicken() -> None:
    """Give KSWIN the p-values of `scipy.stats.ks_2samp` from a table: of two samples of 30 they depend on the statistic
    alone, and computing each anew takes a millisecond. All else is river's.
    """
    grid = np.arange(WINDOW + 1)
    pairs = [(np.arange(WINDOW, dtype=float), np.arange(WINDOW, dtype=float) + k) for k in grid]
    table = [float(stats.ks_2samp(*pair).pvalue) for pair in pairs]

    def ks_2samp(first: Any, second: Any, method: str = "auto") -> tuple[float, float]:  # noqa: ARG001 - river names it
        a, b = np.sort(first), np.sort(second)
        both = np.concatenate([a, b])
        gap = np.searchsorted(a, both, side="right") - np.searchsorted(b, both, side="right")
        k = int(np.abs(gap).max())
        return k / WINDOW, table[k]

    rng = np.random.default_rng(0)
    for _ in range(200):
        sample = rng.normal(size=WINDOW), rng.normal(0.5, size=WINDOW)
        own, quick = stats.ks_2samp(*sample), ks_2samp(*sample)
        if abs(own.statistic - quick[0]) > 1e-9 or abs(own.pvalue - quick[1]) > 1e-9:
            raise SystemExit(f"the table of p-values is wrong: {own} {quick}")
    kswin.stats = types.SimpleNamespace(ks_2samp=ks_2samp)


if __name__ == "__main__":
    main()
