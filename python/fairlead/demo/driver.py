"""Plans the traffic, runs its process and reads what it wrote down."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairlead.demo.material import Material
from fairlead.demo.options import Pace
from fairlead.demo.processes import spawn, stop, tail
from fairlead.demo.records import bodies, write_bodies
from fairlead.demo.server import RunningServer
from fairlead.demo.traffic import PhasePlan
from fairlead.errors import FairleadError


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One phase of the traffic, and which rows it sends."""

    name: str
    stretch: str
    """Whose rows they are."""
    plan: PhasePlan
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the server."""

    row: int
    status: int
    latency_us: float
    body: str


@dataclass(frozen=True, slots=True)
class LegResult:
    """What a phase brought."""

    leg: Leg
    answers: list[Answer]
    seconds: float
    """From the first request to the last answer."""


Progress = Callable[[str, int, float], None]
"""(phase, answers so far, seconds so far)."""


def plan_legs(material: Material, pace: Pace, folder: Path) -> list[Leg]:
    """An open loop on the first rows of the first stretch; then each stretch's other rows at full speed."""
    first = material.live[0]
    steady = min(int(pace.steady_rate * pace.steady_seconds), max(1, len(first.rows) // 2))
    legs = [_leg(f"{first.name}, open loop", first.name, first.rows[:steady], (pace, folder, pace.steady_rate))]
    for stretch in material.live:
        rows = stretch.rows[steady:] if stretch is first else stretch.rows
        # The last rows that fit would all be of its first hours: take them evenly over the whole stretch.
        chosen = rows[_evenly(len(rows), pace.rush_rows)]
        legs.append(_leg(f"{stretch.name}, full speed", stretch.name, chosen, (pace, folder, None)))
    for leg in legs:
        write_bodies(Path(leg.plan.bodies), bodies(material, leg.rows))
    return legs


def _leg(name: str, stretch: str, rows: NDArray[np.int64], how: tuple[Pace, Path, float | None]) -> Leg:
    pace, folder, rate = how
    slug = "".join(char if char.isalnum() else "-" for char in name.lower())
    plan = PhasePlan(
        name=name,
        bodies=str(folder / f"{slug}.requests"),
        answers=str(folder / f"{slug}.answers"),
        rate=rate,
        seconds=pace.rush_seconds if rate is None else len(rows) / rate,
        connections=pace.connections,
    )
    return Leg(name=name, stretch=stretch, plan=plan, rows=rows)


def _evenly(rows: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.int64))


def send(server: RunningServer, endpoint: str, legs: Sequence[Leg], progress: Progress) -> list[LegResult]:
    """Run the traffic process to its end. Raises `FairleadError` where it, or the server, fails."""
    folder = Path(legs[0].plan.bodies).parent
    document = {
        "url": server.url,
        "path": f"/v1/endpoints/{endpoint}:predict",
        "phases": [asdict(leg.plan) for leg in legs],
    }
    plan, errors = folder / "plan.json", folder / "traffic.err"
    plan.write_text(json.dumps(document, indent=2), encoding="utf-8")
    process = spawn([sys.executable, "-m", "fairlead.demo.traffic", str(plan)], errors, tied=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            progress(said["phase"], said["answers"], said["seconds"])
        code = process.wait()
    finally:
        stop(process)
    if code != 0:
        server.check_alive()
        raise FairleadError(f"the traffic failed: {tail(errors)}")
    return [_result(leg) for leg in legs]


def _result(leg: Leg) -> LegResult:
    answers = []
    with Path(leg.plan.answers).open(encoding="utf-8") as file:
        first = json.loads(next(file))
        for request, status, latency, body in map(json.loads, file):
            answers.append(Answer(int(leg.rows[request]), status, latency, body))
    return LegResult(leg, answers, float(first["seconds"]))
