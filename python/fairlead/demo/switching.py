"""Blue/green: a version that is asked by name, switched to at once, and switched back from."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import httpx

from fairlead.bundle import PackResult
from fairlead.demo import plans
from fairlead.demo.flow import Tally
from fairlead.demo.stage import Stage

AFTER_SECONDS = 1.0
"""How long a switch is watched after it."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One way of a blue/green rollout."""

    version: str
    """Champion from then on."""
    command_ms: float
    """Until the control plane had done it."""
    switched_ms: float
    """Until the version before gave its last answer, from the moment of the command."""
    strays: int
    """Answers of any other version to requests sent after every replica had applied it."""


@dataclass(frozen=True, slots=True)
class BlueGreen:
    """A switch and the way back."""

    name: str
    preview: str
    """The version that answered who asked for it by name."""
    leaked: int
    """Answers of that version to who had not asked for it, before the switch."""
    there: Switch
    back: Switch
    tally: Tally


def run_blue_green(stage: Stage, bundle: PackResult) -> BlueGreen:
    """A version is asked by name, switched to, and switched back from."""
    planes, flow = stage.planes, stage.flow
    name = planes.roll_out(plans.blue_green(f"{stage.endpoint}-blue-green", stage.endpoint, bundle.sha256))
    state = planes.view(name)["state"]
    green, blue = str(state["challenger"]["version"]), str(state["champion"]["version"])
    first = flow.begin()
    with stage.patience(f"version {green} to answer by name") as wait:
        while (preview := _asked(stage, "challenger")) != green:
            wait()
    with stage.patience("the preview to end") as wait:
        while planes.view(name)["state"]["phase"] != "paused":
            wait()
    stage.say(f"version {preview} answers who asks for it by `Fairlead-Variant: challenger`, and nobody else")
    there = _switch(stage, (name, "promote"), (blue, green))
    back = _switch(stage, (name, "undo"), (green, blue))
    last = flow.begin()
    leaked = flow.tally(first, first + 1).versions.get(green, 0)
    return BlueGreen(name, preview, leaked, there, back, flow.tally(first, last))


def _switch(stage: Stage, order: tuple[str, str], way: tuple[str, str]) -> Switch:
    (name, command), (before, after) = order, way
    flow = stage.flow
    during = flow.begin()
    began = time.monotonic()
    stage.planes.control.post(f"/rollouts/{name}/{command}", {"reason": "demo"})
    commanded = time.monotonic() - began
    stage.planes.applied(stage.endpoint, after)
    applied = flow.begin()
    time.sleep(AFTER_SECONDS)
    later = flow.begin()
    last = flow.tally(during, applied).last.get(before, began)
    versions = flow.tally(applied, later).versions
    strays = sum(count for version, count in versions.items() if version != after)
    switch = Switch(after, commanded * 1_000, max(0.0, last - began) * 1_000, strays)
    stage.say(
        f"{command}: version {before} gave its last answer {switch.switched_ms:.0f} ms after the command; "
        f"{versions.get(after, 0):,} answers of version {after} since it was applied, {strays} of others"
    )
    return switch


def _asked(stage: Stage, variant: str) -> str | None:
    """Return the version that answers who names a variant; None where there is none."""
    answer = httpx.post(
        f"{stage.planes.data_url}/v1/endpoints/{stage.endpoint}:predict",
        content=stage.example,
        headers={"Fairlead-Variant": variant, "content-type": "application/json"},
        trust_env=False,
    )
    told = json.loads(answer.content)
    return str(told["version"]) if answer.status_code == httpx.codes.OK and told["variant"] == variant else None
