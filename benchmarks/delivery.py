"""`python -m benchmarks.delivery`: versions that come and go under an open loop of 5,500 requests/s.

A canary goes from shadow traffic to everybody by itself; then a hundred blue/green switches in a row. Exit code 1 where
a request failed or the canary was not promoted; 2: another benchmark runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from benchmarks import model
from benchmarks.findings import NO_FAILURE
from benchmarks.harness import load
from benchmarks.harness.layout import RESULTS
from benchmarks.harness.lock import BusyError, alone
from benchmarks.harness.processes import free_port
from benchmarks.harness.report import Report, Row, Target
from fairlead.demo import options, plans
from fairlead.demo.planes import Planes, PlanesPlan, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

RATE, PROMISED = 5_500, 5_000
"""Requests a second: asked for, and what the acceptance of rollouts asks for."""
UNITS = 24_000
COHORT = 1_000
FEWER_TREES = 5
ENDPOINT = "fraud"
PATH = f"/v1/endpoints/{ENDPOINT}:predict"
WORLD = replace(options.FULL, stream_units=UNITS, stream_rate=RATE, cohort=COHORT)
ENDED = ("promoted", "rolled_back", "undone")
TITLE = f"Delivery: open loop of {RATE:,} requests/s, one row of 30 features a request, {UNITS:,} units"
PACKAGES = ("fairlead", "onnxruntime", "lightgbm", "numpy")
LOAD_GOES_FIRST_S = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the traffic lasts; what is rolled out must be done by then."""

    canary_seconds: float
    rounds: int
    """Of two switches each: there and back."""
    switching_seconds: float


FULL = Pace(canary_seconds=40, rounds=50, switching_seconds=90)
QUICK = Pace(canary_seconds=30, rounds=5, switching_seconds=10)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ten switches instead of a hundred")
    asked = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        with alone():
            path = RESULTS / ("delivery-quick.json" if asked.quick else "delivery.json")
            return _measure(QUICK if asked.quick else FULL, path, lambda text: console.print(text, highlight=False))
    except BusyError as error:
        console.print(f"error: {error}", soft_wrap=True)
        return 2


def _measure(pace: Pace, path: Path, say: Callable[[str], None]) -> int:
    report = Report(TITLE)
    load.build_native()
    champion = model.prepare().bundle
    folder = champion.parent.parent
    challenger = _challenger(folder)
    bodies = _bodies(folder / "units.jsonl", np.load(folder / "rows.npy"))
    with tempfile.TemporaryDirectory() as place:
        plan = PlanesPlan(Path(place) / "data", free_port(), Path(place) / "planes.err", keep=False)
        with running(plan) as planes:
            planes.take_over(ENDPOINT, "card", champion)
            digest = planes.control.push(challenger)["sha256"]
            aim = load.Aim(plan.data_port, PATH, bodies)
            say("a canary: shadow, a cohort, 5 %, 25 %, everybody")
            rows = [*_canary(planes, digest, aim, pace)]
            say(f"{2 * pace.rounds} blue/green switches")
            rows += _switches(planes, aim, pace)
    for row in rows:
        report.add(row)
    out = Console()
    report.show(out if out.is_terminal else Console(width=170))
    report.write(path, PACKAGES, {})
    return 1 if report.missed() else 0


def _canary(planes: Planes, digest: str, aim: load.Aim, pace: Pace) -> list[Row]:
    began = time.monotonic()
    with _traffic(aim, pace.canary_seconds) as traffic:
        name = planes.roll_out(plans.canary("canary", ENDPOINT, digest, WORLD, positive=1))
        view = planes.view(name)
        while view["state"]["phase"] not in ENDED and time.monotonic() - began < pace.canary_seconds:
            time.sleep(0.1)
            view = planes.view(name)
        seconds = time.monotonic() - began
        found = traffic.result()
    promoted = view["state"]["phase"] == "promoted"
    return [
        *_load_rows("canary", found),
        Row("canary: promoted by itself", float(promoted), "", Target("at least", 1)),
        Row("canary: from its start to its end", seconds, "s", Target("at most", pace.canary_seconds)),
        Row("canary: units of the challenger when it was decided", _units(planes, name), "units"),
    ]


def _switches(planes: Planes, aim: load.Aim, pace: Pace) -> list[Row]:
    """Both versions, back and forth."""
    versions = {one["version"]: one for one in planes.control.get(f"/endpoints/{ENDPOINT}/roles")}
    [current] = [version for version, one in versions.items() if one["role"] == "champion"]
    [former] = versions.keys() - {current}
    wanted = plans.blue_green("switch", ENDPOINT, versions[former]["sha256"])
    wanted["spec"]["strategy"] = {"blueGreen": {}}  # without a preview: it is the switch that is measured
    took: list[float] = []
    began = time.monotonic()
    with _traffic(aim, pace.switching_seconds) as traffic:
        planes.roll_out(wanted)
        for number in range(pace.rounds):
            if number:
                planes.control.post("/rollouts/switch/start", {})
            for command, champion in (("promote", former), ("undo", current)):
                asked = time.monotonic()
                planes.control.post(f"/rollouts/switch/{command}", {})
                planes.applied(ENDPOINT, champion)
                took.append(time.monotonic() - asked)
        seconds = time.monotonic() - began
        found = traffic.result()
    return [
        *_load_rows("switches", found),
        Row("switches: in a row", float(len(took)), "", Target("at least", 2 * pace.rounds)),
        Row("switches: all of them", seconds, "s", Target("at most", pace.switching_seconds)),
        Row("switches: from the command until it is applied, median", 1e3 * statistics.median(took), "ms"),
        Row("switches: from the command until it is applied, longest", 1e3 * max(took), "ms"),
    ]


@contextmanager
def _traffic(aim: load.Aim, seconds: float) -> Iterator[Future[dict[str, Any]]]:
    """An open loop beside the block, which ends when it does."""
    with ThreadPoolExecutor(1) as pool:
        arguments = ["--rate", str(RATE), "--connections", "64"]
        future = pool.submit(load.loadgen, aim, seconds, arguments)
        time.sleep(LOAD_GOES_FIRST_S)
        yield future


def _load_rows(name: str, found: dict[str, Any]) -> list[Row]:
    return [
        Row(f"{name}: answered", found["answered_per_second"], "requests/s", Target("at least", PROMISED)),
        Row(f"{name}: requests", found["answered"], ""),
        Row(f"{name}: failed requests", load.failures(found), "", NO_FAILURE),
        Row(f"{name}: p50", found["latency_ms"]["p50"], "ms"),
        Row(f"{name}: p99", found["latency_ms"]["p99"], "ms"),
    ]


def _units(planes: Planes, name: str) -> float:
    """Of the challenger, in the newest decision that was made on counts."""
    for event in planes.control.get(f"/rollouts/{name}/events")["events"]:
        found = event["evidence"].get("decision", {}).get("assessments")
        if found is not None:
            return float(found["challenger_units"])
    return 0.0


def _challenger(folder: Path) -> Path:
    """The champion without its last trees, packed as a user would: another model with nearly the same scores."""
    import lightgbm

    place = folder / "challenger"
    place.mkdir(exist_ok=True)
    booster = lightgbm.Booster(model_file=folder / "model.txt")
    booster.save_model(place / "model.txt", num_iteration=model.TREES - FEWER_TREES)
    (place / "sample.parquet").write_bytes((folder / "sample.parquet").read_bytes())
    return model.pack(place)


def _bodies(path: Path, rows: NDArray[np.float32]) -> Path:
    """One request for each unit, with the rows in turn."""
    names = model.NAMES
    with path.open("w") as file:
        for number in range(UNITS):
            row = rows[number % len(rows)]
            record = {name: float(value) for name, value in zip(names, row, strict=True)} | {"card": f"card-{number}"}
            file.write(json.dumps({"records": [record]}) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
