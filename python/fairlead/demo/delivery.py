"""The chapters with the control plane: versions come and go under live traffic, and every request is accounted for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairlead.demo.challengers import FAULTS, GOOD, Source
from fairlead.demo.flow import Tally, flowing, stream_bodies
from fairlead.demo.moves import rolled_back
from fairlead.demo.options import DemoOptions
from fairlead.demo.planes import Planes, PlanesPlan, running
from fairlead.demo.stage import Stage
from fairlead.demo.switching import BlueGreen, run_blue_green
from fairlead.demo.telling import chapter
from fairlead.demo.trials import Trial, run_canary, run_fault
from fairlead.errors import FairleadError

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the chapters found."""

    planes: Planes
    canary: Trial
    faults: tuple[Trial, ...]
    blue_green: BlueGreen
    seconds: float

    def failure(self) -> str | None:
        """What of the chapters' promises was not kept, None where all was well."""
        for trial in self.faults:
            if trial.promoted or not trial.last.harmful:
                return f"{trial.name} was not rolled back by a guardrail: {trial.last.reason}"
        switched = self.blue_green
        if switched.leaked or switched.there.strays or switched.back.strays:
            return f"a blue/green switch was not clean: {switched}"
        # Who asked the challenger that raises errors was answered with some.
        for name, tally in self._must_not_fail():
            if tally.failures:
                return f"{tally.failures} requests failed during {name}: {tally.failed}"
        return None

    def _must_not_fail(self) -> list[tuple[str, Tally]]:
        trials = (self.canary, *(one for one in self.faults if not one.challenger.fails_requests))
        return [*((one.name, one.tally) for one in trials), (self.blue_green.name, self.blue_green.tally)]


def deliver(source: Source, options: DemoOptions, console: Console) -> Delivered:
    """Run the chapters; `source.material` must say whose rows they are.

    Raises `FairleadError`, also where the good challenger is rolled back. Whatever happens, no process is left behind.
    """
    begin = time.monotonic()
    material, place = source.material, source.place
    assert material.unit is not None

    def say(words: str) -> None:
        console.print(f"  {words}", markup=False, highlight=False, soft_wrap=True)

    with chapter(console, "Training and packing challengers: one good, three bad"):
        good = GOOD.make(source)
        bad = [(fault, fault.make(source)) for fault in FAULTS]
        requests = stream_bodies(material, options.pace, options.seed)
    plan = PlanesPlan(place.planes, options.port, place.root / "planes.err", options.keep)
    starting = time.monotonic()
    with running(plan) as planes:
        planes.take_over(material.endpoint, material.unit[0], source.champion.path)
        say(f"control plane at {planes.url}, predictions at {planes.data_url}, {time.monotonic() - starting:.1f} s")
        with flowing(planes.data_url, material.endpoint, requests, options.pace, place.traffic) as flow:
            stage = Stage(source, planes, flow, requests[0], say)
            with chapter(console, "A canary of the good challenger"):
                canary = run_canary(stage, GOOD, good)
            if not canary.promoted:
                raise FairleadError(f"the good challenger was not promoted: {rolled_back(canary.last)}")
            faults = []
            for fault, bundle in bad:
                with chapter(console, f"A bad challenger: {fault.what}"):
                    faults.append(run_fault(stage, fault, bundle))
            with chapter(console, "Blue/green: back to version 1, and undone"):
                switched = run_blue_green(stage, source.champion)
    return Delivered(planes, canary, tuple(faults), switched, time.monotonic() - begin)
