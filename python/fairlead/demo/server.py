"""The endpoint under demonstration: `fairlead serve` as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairlead.demo.processes import spawn, stop, tail
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
    said: list[dict[str, object]] = []
    reader = threading.Thread(target=_read_address, args=(process, said), daemon=True)
    reader.start()
    reader.join(READY_SECONDS)
    if not said:
        why = f"exit code {process.poll()}" if process.poll() is not None else f"not ready after {READY_SECONDS:.0f} s"
        raise FairleadError(f"the server did not start ({why}): {tail(plan.stderr)}")
    seconds = said[0]["seconds"]
    assert isinstance(seconds, float | int)
    return RunningServer(str(said[0]["url"]), str(said[0]["admin_url"]), float(seconds), process, plan)


def _read_address(process: subprocess.Popen[str], said: list[dict[str, object]]) -> None:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        try:
            said.append(json.loads(text))
        except json.JSONDecodeError:
            continue
        return
    process.wait()
