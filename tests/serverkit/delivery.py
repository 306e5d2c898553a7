"""Both planes with an endpoint `risk`: bundles pushed, traffic of many units, and what the replicas have applied."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.serverkit.control import ControlPlane
from tests.serverkit.processes import Processes
from tests.serverkit.waiting import until
from tests.serverkit.wire import request

ENDPOINT = "risk"
PATH = f"/v1/endpoints/{ENDPOINT}:predict"
UNITS = 6_000


def digest(bundle: Path) -> str:
    """Return a bundle's identity."""
    return (bundle / "DIGEST").read_text().strip()


def stage(control: ControlPlane, champion: Path, challenger: Path) -> None:
    """Push both bundles and give the endpoint its unit key and its champion; returns when that is served."""
    for bundle in (champion, challenger):
        with control.client() as client:
            client.push(bundle)
    control.http.put(f"/endpoints/{ENDPOINT}", json={"unit_key": "card"}).raise_for_status()
    role = {"sha256": digest(champion)}
    control.http.put(f"/endpoints/{ENDPOINT}/roles/champion", json=role).raise_for_status()
    until(lambda: ENDPOINT in state(control)["endpoints"], "the champion is served", seconds=30)


def document(challenger: Path, strategy: Mapping[str, Any], guardrails: Sequence[Any] = ()) -> dict[str, Any]:
    """Return a rollout `next` to the challenger."""
    return {
        "apiVersion": "fairlead.dev/v1",
        "kind": "Rollout",
        "metadata": {"name": "next"},
        "spec": {
            "endpoint": ENDPOINT,
            "challenger": {"bundle": digest(challenger)},
            # A good challenger is rolled back as often as this: no test should be.
            "alpha": 0.001,
            "guardrails": list(guardrails),
            "strategy": dict(strategy),
        },
    }


def requests(records: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Return a request for each of many units, with these records in turn."""
    return [
        request(PATH, json.dumps({"records": [{**records[n % len(records)], "card": f"card-{n}"}]}).encode())
        for n in range(UNITS)
    ]


def address(control: ControlPlane) -> tuple[str, int]:
    """Return where the data plane listens."""
    host, _, port = control.addresses["data_url"].removeprefix("http://").rpartition(":")
    return host, int(port)


def state(control: ControlPlane) -> dict[str, Any]:
    """Return what the data plane says of itself."""
    found: dict[str, Any] = control.admin.get("/debug/state").json()
    return found


def loaded(control: ControlPlane) -> list[str]:
    """Return the sha256 of each bundle that the data plane has loaded for the endpoint, the champion first."""
    return [variant["bundle"] for variant in state(control)["endpoints"][ENDPOINT]["variants"]]


def champion_now(control: ControlPlane) -> str:
    """Return the sha256 of the champion's bundle."""
    return str(control.get(f"/endpoints/{ENDPOINT}/roles/champion")["sha256"])


def command(control: ControlPlane, what: str) -> dict[str, Any]:
    """Give the rollout `next` a command; returns its view."""
    answer = control.http.post(f"/rollouts/next/{what}", json={})
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


def serving_process(control: ControlPlane) -> int:
    """Return the pid of the data plane."""
    [(pid, _)] = Processes(control.process.pid).descendants().members
    return pid


def applied(control: ControlPlane, champion: str) -> float:
    """Wait until this bundle answers as champion; returns a moment after that."""
    until(lambda: loaded(control)[0] == champion, f"{champion} is champion of the data plane", seconds=30)
    return time.monotonic()
