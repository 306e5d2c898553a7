"""A `fairlead up` process: started on free ports, asked, stopped or killed, and never left behind."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from fairlead.client import ControlClient
from tests.serverkit.processes import Processes
from tests.serverkit.telling import Telling
from tests.serverkit.waiting import until

START_SECONDS = 60.0
STOP_SECONDS = 30.0


class ControlPlane:
    """A running control plane; without a data plane unless `arguments` say otherwise."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        database_url: str | None = None,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable,),
        port: int = 0,
    ) -> None:
        """Start the process; `wait_until_serving` tells what becomes of it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        command = [*program, "-m", "fairlead", "up", "--data-dir", str(folder / "data"), "--port", str(port), "--json"]
        if "--data-port" not in arguments:
            command.append("--no-data-plane")
        if database_url is not None:
            command += ["--database-url", database_url]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "FAIRLEAD_"))}
        self._telling = Telling("the control plane", [*command, *arguments], folder, {**clean, **(environment or {})})
        self.process = self._telling.process

    def wait_until_serving(self) -> ControlPlane:
        """Return once it has told its addresses; fails with its words where it ends instead."""
        self.addresses = self._telling.addresses(START_SECONDS)
        return self

    @property
    def url(self) -> str:
        """Its address."""
        return self.addresses["url"]

    @cached_property
    def http(self) -> httpx.Client:
        """A client of the API as it is."""
        return httpx.Client(base_url=f"{self.url}/api/v1", timeout=30.0, trust_env=False)

    @cached_property
    def admin(self) -> httpx.Client:
        """A client of the administration listener of the data plane beside it."""
        return httpx.Client(base_url=self.addresses["data_admin_url"], timeout=30.0, trust_env=False)

    def client(self, key: str | None = None) -> ControlClient:
        """Return our own client, with a key."""
        return ControlClient(self.url, key=key)

    def get(self, path: str, **parameters: Any) -> Any:
        """Return what is at `path`; fails where the answer is an error."""
        answer = self.http.get(path, params=parameters)
        assert answer.is_success, answer.text
        return answer.json()

    def ready(self) -> bool:
        """Return True if it answers that it is ready."""
        try:
            return self.http.get("/health").status_code == 200
        except httpx.HTTPError:
            return False

    def leads(self) -> bool:
        """Return True if it runs the loops."""
        try:
            answer = self.http.get("/health")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and bool(answer.json()["leader"])

    def stderr(self) -> str:
        """Return everything that it has said."""
        return self._telling.stderr()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end and return its exit code; fails where it, or a process that it started, stays."""
        known = Processes(self.process.pid).descendants()
        self.process.send_signal(number)
        code = self.process.wait(timeout=STOP_SECONDS)
        until(lambda: not known.living(), f"its processes end: {known.living()}")
        self.close()
        return code

    def kill(self) -> None:
        """End everything at once; harmless where it has ended."""
        known = Processes(self.process.pid).descendants()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        known.kill()
        self.close()

    def close(self) -> None:
        """Close the clients."""
        for name in ("http", "admin"):
            client = self.__dict__.pop(name, None)
            if client is not None:
                client.close()
