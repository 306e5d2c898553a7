"""Both planes, as `fairlead up` runs them, and the endpoint as the control plane is told of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.client import Client, ControlClient
from fairlead.demo.processes import first_document, spawn, stop, tail
from fairlead.errors import EndpointError, FairleadError

READY_SECONDS = 60.0
SERVED_SECONDS = 60.0
ENDING_SECONDS = 1.0
LOOK_SECONDS = 0.1
UNKNOWN = 404


@dataclass(frozen=True, slots=True)
class PlanesPlan:
    """What to start, and where."""

    folder: Path
    """For state, bundles and logs."""
    data_port: int
    stderr: Path
    keep: bool
    """Leave them running when the demo ends well."""

    def command(self) -> list[str]:
        """The command line."""
        command = ["up", "--data-dir", str(self.folder), "--port", "0", "--data-port", str(self.data_port), "--json"]
        return [sys.executable, "-m", "fairlead", *command]


@dataclass(frozen=True, slots=True)
class Planes:
    """Both planes, running."""

    url: str
    """Of the control plane."""
    data_url: str
    process: subprocess.Popen[str]
    control: ControlClient
    plan: PlanesPlan

    def check_alive(self) -> None:
        """Raise `FairleadError` where they have ended."""
        if (code := self.process.poll()) is not None:
            raise FairleadError(f"`fairlead up` ended with exit code {code}: {tail(self.plan.stderr)}")

    def take_over(self, endpoint: str, unit_key: str, bundle: Path) -> None:
        """Make an endpoint with this bundle as its champion, and return when it answers."""
        pushed = self.control.push(bundle)
        self.control.put(f"/endpoints/{endpoint}", {"unit_key": unit_key})
        self.control.put(f"/endpoints/{endpoint}/roles/champion", {"sha256": pushed["sha256"]})
        deadline = time.monotonic() + SERVED_SECONDS
        with Client(self.data_url) as client:
            while not _ready(client, endpoint):
                self.check_alive()
                if time.monotonic() > deadline:
                    raise FairleadError(f"{endpoint} was not served within {SERVED_SECONDS:.0f} s")
                time.sleep(LOOK_SECONDS)

    def roll_out(self, rollout: dict[str, Any]) -> str:
        """Start a rollout and return its name."""
        self.control.put("/rollouts", rollout)
        return str(rollout["metadata"]["name"])

    def applied(self, endpoint: str, champion: str) -> None:
        """Return when every replica reports that this version is the champion, and that no rollout is on the way."""
        deadline = time.monotonic() + SERVED_SECONDS
        while not self._is_applied(endpoint, champion):
            self.check_alive()
            if time.monotonic() > deadline:
                raise FairleadError(f"version {champion} of {endpoint} was not applied within {SERVED_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)

    def _is_applied(self, endpoint: str, champion: str) -> bool:
        # The snapshot may be a moment behind the command: what it says is looked at, not only its number.
        snapshot = self.control.get("/snapshot")
        told = next(one for one in snapshot["endpoints"] if one["name"] == endpoint)
        if told["routing"] is not None or told["variants"][0]["version"] != champion:
            return False
        return all(one["generation"] >= snapshot["generation"] for one in self.control.get("/replicas"))

    def view(self, rollout: str) -> dict[str, Any]:
        """Return a rollout as it stands. Raises `FairleadError` where the planes are gone."""
        self.check_alive()
        found: dict[str, Any] = self.control.get(f"/rollouts/{rollout}")
        return found


def _ready(client: Client, endpoint: str) -> bool:
    try:
        return client.ready(endpoint)
    except EndpointError as error:
        if error.status == UNKNOWN:
            return False
        raise


@contextmanager
def running(plan: PlanesPlan) -> Iterator[Planes]:
    """Run both planes for as long as the block lasts; on a clean way out they are left running if the plan says so.

    Raises `FairleadError` where they do not start, and where they do not end with exit code 0.
    """
    process = spawn(plan.command(), plan.stderr, tied=not plan.keep)
    try:
        said = first_document(process, plan.stderr, "`fairlead up`", READY_SECONDS)
        with ControlClient(said["url"]) as control:
            yield Planes(said["url"], said["data_url"], process, control, plan)
    except FairleadError as error:
        # What failed while they were ending failed because of that.
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_SECONDS)
        code = process.poll()
        stop(process)
        if code is None:
            raise
        raise FairleadError(f"`fairlead up` ended with exit code {code}: {tail(plan.stderr)}") from error
    except BaseException:
        stop(process)
        raise
    if plan.keep:
        return
    if (code := stop(process)) != 0:
        raise FairleadError(f"`fairlead up` ended with exit code {code}: {tail(plan.stderr)}")
