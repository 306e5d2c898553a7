"""A `fairlead serve` process: started on free ports, watched, stopped, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from fairlead.schema.serve import Limits
from fairlead.schema.snapshot import Snapshot
from tests.serverkit.exposition import Exposition
from tests.serverkit.processes import Processes
from tests.serverkit.telling import Telling
from tests.serverkit.waiting import until

START_SECONDS = 20.0
STOP_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What a server is started with. `folder` is its own: the log, the last good snapshot and its words go there."""

    folder: Path
    snapshot: Snapshot
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    nothing: bool = False
    """Start with no snapshot at all: the arguments say whom to follow."""
    limits: Limits | None = None
    """Limits that the command line has no flags for; with them the server is started by `limited`."""

    @property
    def log(self) -> Path:
        """The prediction log."""
        return self.folder / "log"

    def command(self) -> list[str]:
        """Write the snapshot down and return the command."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "snapshot.json"
        file.write_bytes(self.snapshot.canonical_json())
        if self.limits is not None:
            return [
                sys.executable,
                "-m",
                "tests.serverkit.limited",
                str(file),
                str(self.log),
                self.limits.model_dump_json(),
            ]
        given = [] if self.nothing else ["--snapshot", str(file)]
        command = [sys.executable, "-m", "fairlead", "serve", *given, "--log", str(self.log)]
        return [*command, "--port", "0", "--admin-port", "0", "--json", *self.arguments]

    def everything(self) -> dict[str, str]:
        """Return the environment of the process."""
        return {**os.environ, **self.environment}


class Server:
    """A running server. `expected_dead` says that a test ended it on purpose."""

    def __init__(self, launch: Launch) -> None:
        """Start the process; `wait_until_serving` or `wait_until_ended` tells what becomes of it."""
        self.launch = launch
        self.expected_dead = False
        self._telling = Telling("the server", launch.command(), launch.folder, launch.everything())
        self.process = self._telling.process
        self.processes = Processes(self.process.pid)

    def wait_until_serving(self) -> Server:
        """Return once the server has told its addresses; fails with its words where it ends instead."""
        self._addresses = self._telling.addresses(START_SECONDS)
        return self

    @property
    def url(self) -> str:
        """Where predictions are asked for."""
        return self._addresses["url"]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `url`."""
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)

    @property
    def log(self) -> Path:
        """The folder of the prediction log."""
        return self.launch.log

    @cached_property
    def http(self) -> httpx.Client:
        """A client of the prediction listener."""
        return httpx.Client(base_url=self.url, timeout=30.0, trust_env=False)

    @cached_property
    def admin(self) -> httpx.Client:
        """A client of the administration listener."""
        return httpx.Client(base_url=self._addresses["admin_url"], timeout=30.0, trust_env=False)

    def metrics(self) -> Exposition:
        """Scrape the administration listener, so that the scrape is no client connection."""
        return Exposition.parse(self.admin.get("/metrics").text)

    def state(self) -> dict[str, Any]:
        """Return what the server says of its inside."""
        state: dict[str, Any] = self.admin.get("/debug/state").json()
        return state

    def put(self, snapshot: Snapshot) -> httpx.Response:
        """Offer a snapshot."""
        return self.admin.put("/snapshot", content=snapshot.canonical_json())

    def stderr(self) -> str:
        """Return everything that the server has said."""
        return self._telling.stderr()

    def terminate(self) -> None:
        """Ask the server to end."""
        self.process.send_signal(signal.SIGTERM)

    def wait_until_ended(self, seconds: float = STOP_SECONDS) -> int:
        """Return the exit code; fails where the process does not end in time."""
        self.expected_dead = True
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server did not end within {seconds:g} s") from None

    def stop(self) -> int:
        """Ask the server to end and return its exit code; fails where it or a process that it started stays."""
        known = self.processes.descendants()
        self.terminate()
        code = self.wait_until_ended()
        until(lambda: not known.living(), f"the server's processes end: {known.living()}")
        return code

    def kill(self) -> None:
        """End everything at once; harmless where it has ended."""
        self.expected_dead = True
        known = self.processes.descendants()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        known.kill()

    def close(self) -> None:
        """Close the clients."""
        for name in ("http", "admin"):
            client = self.__dict__.get(name)
            if client is not None:
                client.close()
