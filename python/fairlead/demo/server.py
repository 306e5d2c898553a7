"""The endpoint under demonstration: `fairlead serve` as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairlead.demo.processes import first_document, spawn, stop, tail
from fairlead.errors import FairleadError

READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ServePlan:
    """What to serve, and where."""

    bundle: Path
    log: Path
    port: int
    unit_key: str | None
    stderr: Path
    trust_pickle: bool
    keep: bool
    """Leave it running when the demo ends well."""

    def command(self) -> list[str]:
        """The command line."""
        command = ["serve", "--bundle", str(self.bundle), "--log", str(self.log), "--json"]
        command += ["--port", str(self.port), "--admin-port", "0"]
        if self.unit_key is not None:
            command += ["--unit-key", self.unit_key]
        if self.trust_pickle:
            command.append("--trust-pickle")
        return [sys.executable, "-m", "fairlead", *command]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers."""

    url: str
    admin_url: str
    ready_seconds: float
    """From its start to its first answer, as it measured it."""
    process: subprocess.Popen[str]
    plan: ServePlan

    def check_alive(self) -> None:
        """Raise `FairleadError` where it has ended."""
        if (code := self.process.poll()) is not None:
            raise FairleadError(f"the server ended with exit code {code}: {tail(self.plan.stderr)}")


@contextmanager
def serving(plan: ServePlan) -> Iterator[RunningServer]:
    """Run a server for as long as the block lasts; on a clean way out it is left running if the plan says so.

    Raises `FairleadError` where it does not start, and where it does not end with exit code 0.
    """
    process = spawn(plan.command(), plan.stderr, tied=not plan.keep)
    try:
        server = _wait_until_ready(process, plan)
        yield server
    except BaseException:
        stop(process)
        raise
    if plan.keep:
        return
    if (code := stop(process)) != 0:
        raise FairleadError(f"the server ended with exit code {code}: {tail(plan.stderr)}")


def _wait_until_ready(process: subprocess.Popen[str], plan: ServePlan) -> RunningServer:
    """Read the address that the server writes once it answers."""
    said = first_document(process, plan.stderr, "the server", READY_SECONDS)
    return RunningServer(str(said["url"]), str(said["admin_url"]), float(said["seconds"]), process, plan)
