"""What the chapters with the control plane found, as values for programs and as lines for people."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from fairlead.demo.delivery import Delivered
from fairlead.demo.flow import Tally
from fairlead.demo.plans import CANARY_SHARES
from fairlead.demo.switching import Switch
from fairlead.demo.trials import Trial


def document(delivered: Delivered) -> dict[str, Any]:
    """The findings as JSON values."""
    planes, switched = delivered.planes, delivered.blue_green
    return {
        "control_url": planes.url,
        "data_url": planes.data_url,
        "data_dir": str(planes.plan.folder),
        "pid": planes.process.pid,
        "kept": planes.plan.keep,
        "canary": _trial(delivered.canary),
        "faults": [_trial(trial) for trial in delivered.faults],
        "blue_green": {
            "rollout": switched.name,
            "preview": switched.preview,
            "leaked": switched.leaked,
            "there": asdict(switched.there),
            "back": asdict(switched.back),
            "traffic": _tally(switched.tally),
        },
        "seconds": delivered.seconds,
    }


def _trial(trial: Trial) -> dict[str, Any]:
    last = trial.last
    return {
        "rollout": trial.name,
        "challenger": trial.challenger.what,
        "version": trial.version,
        "promoted": trial.promoted,
        "reason": last.reason,
        "seconds": trial.seconds,
        "challenger_requests": last.requests,
        "challenger_units": last.units,
        "guardrails": [asdict(one) for one in last.guardrails],
        "traffic": _tally(trial.tally),
    }


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "requests": tally.requests,
        "failed": tally.failed,
        "versions": tally.versions,
        "slowest_ms": tally.slowest_ms,
    }


def lines(delivered: Delivered) -> Iterator[tuple[str, str]]:
    """(name, value) of each line of the summary's table."""
    canary, switched = delivered.canary, delivered.blue_green
    way = f"version {canary.version} by itself from {CANARY_SHARES} in {canary.seconds:.1f} s"
    yield "canary", f"{way}; {_requests(canary.tally)}"
    for trial in delivered.faults:
        yield trial.name, f"{trial.challenger.what}; {_end(trial)}; {_requests(trial.tally)}"
    there, back = _switch(switched.there), _switch(switched.back)
    yield "blue/green", f"{there} and {back}; {_requests(switched.tally)}"


def _end(trial: Trial) -> str:
    last = trial.last
    if trial.promoted:
        return "PROMOTED"
    by = ", ".join(one.name for one in last.harmful) or last.reason
    return f"rolled back by {by} after {last.requests:,} requests of about {last.units:,} units, {trial.seconds:.1f} s"


def _switch(switch: Switch) -> str:
    strays = f", {switch.strays} STRAY ANSWERS" if switch.strays else ""
    return f"to version {switch.version} in {switch.switched_ms:.0f} ms{strays}"


def _requests(tally: Tally) -> str:
    return f"{tally.failures:,} of {tally.requests:,} requests failed"


def commands(delivered: Delivered) -> Iterator[tuple[str, str]]:
    """(what for, command): how to look at the decisions."""
    planes = delivered.planes
    url = f" --url {planes.url}"
    if not planes.plan.keep:
        yield "Start both planes again:", f"fairlead up --data-dir {shlex.quote(str(planes.plan.folder))}"
        url = ""
    yield "Look at the decisions:", f"fairlead rollout list{url}"
    yield "and at those of one rollout:", f"fairlead rollout show {delivered.faults[0].name}{url}"
