"""The data plane beside the control plane: started, told the newest snapshot, started again where it dies."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass

import httpx

from fairlead.control.context import Control
from fairlead.control.fetch import localised
from fairlead.control.settings import DataPlane
from fairlead.errors import FairleadError, StoreError
from fairlead.schema.snapshot import Snapshot

READY_SECONDS = 120.0
KILL_SECONDS = 10.0
AGAIN_SECONDS = 1.0
PUT_SECONDS = 120.0
_log = logging.getLogger("fairlead.control")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the data plane listens."""

    url: str
    admin_url: str


class Supervisor:
    """Keeps one `fairlead serve` running and up to date."""

    def __init__(self, control: Control, plan: DataPlane) -> None:
        """Start nothing yet."""
        self._control, self._plan = control, plan
        self._port = plan.port
        self._process: Process | None = None
        self._generation = -1
        self._control_url = ""

    async def start(self, control_url: str) -> Addresses:
        """Start it with the newest snapshot and return once it answers; raises `FairleadError` where it does not."""
        snapshot = await self._newest()
        state = self._plan.folder
        state.mkdir(parents=True, exist_ok=True)
        file = state / "snapshot.json"
        file.write_bytes(snapshot.canonical_json())
        command = ["serve", "--snapshot", str(file), "--log", str(self._plan.log), "--json"]
        command += ["--host", self._plan.host, "--port", str(self._port), "--admin-port", "0"]
        command += ["--grace", str(self._plan.grace_seconds)]
        self._control_url = control_url
        command += ["--control", control_url, "--no-follow", "--replica", self._plan.replica]
        command += ["--region", self._plan.region] if self._plan.region else []
        command += ["--trust-pickle"] if self._plan.trust_pickle else []
        # In a session of its own: Ctrl-C reaches it through us, and in order. Tied: it does not outlive us.
        tied = ["-m", "fairlead.tied", str(os.getpid()), sys.executable, "-m", "fairlead"]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *tied,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            start_new_session=True,
            env={**os.environ, "FAIRLEAD_KEY": self._control.settings.companion_key},
        )
        addresses = await self._told(self._process)
        self._port = int(addresses.url.rpartition(":")[2])  # a port that was chosen for us stays
        self._generation = snapshot.generation
        return addresses

    async def supervise(self, addresses: Addresses) -> None:
        """Push snapshots and restart, for ever; when cancelled, the process is ended in good order."""
        try:
            while True:
                process = self._process
                assert process is not None
                pushing = asyncio.create_task(self._push(addresses))
                try:
                    code = await process.wait()
                finally:
                    pushing.cancel()
                    await asyncio.gather(pushing, return_exceptions=True)
                _log.error("the data plane ended with exit code %d; starting it again", code)
                addresses = await self._again()
        finally:
            await self.stop()

    async def stop(self) -> int:
        """End it and return its exit code; what is in flight is finished first."""
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), self._plan.grace_seconds + KILL_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        return process.returncode or 0

    async def _again(self) -> Addresses:
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            try:
                return await self.start(self._control_url)
            except FairleadError as error:
                _log.error("the data plane does not start: %s", error.message)

    async def _told(self, process: Process) -> Addresses:
        """Read the addresses that it writes once it answers."""
        assert process.stdout is not None
        text = ""
        try:
            async with asyncio.timeout(READY_SECONDS):
                while line := await process.stdout.readline():
                    text += line.decode()
                    with suppress(json.JSONDecodeError):
                        said = json.loads(text)
                        return Addresses(said["url"], said["admin_url"])
        except TimeoutError:
            await self.stop()
            raise FairleadError(f"the data plane was not ready after {READY_SECONDS:g} s") from None
        except BaseException:
            await self.stop()
            raise
        code = await process.wait()
        raise FairleadError(
            f"the data plane ended with exit code {code} before it answered",
            hint="it says why above; its port is that of --data-port",
        )

    async def _newest(self) -> Snapshot:
        newest = self._control.feed.newest
        return await asyncio.to_thread(localised, newest, self._control, self._plan.folder / "bundles")

    async def _push(self, addresses: Addresses) -> None:
        refused = -1
        async with httpx.AsyncClient(base_url=addresses.admin_url, timeout=PUT_SECONDS, trust_env=False) as http:
            while True:
                found = await self._control.feed.newer_than(max(self._generation, refused), 60.0)
                if found is None:
                    await asyncio.sleep(0)
                    if self._control.feed.closing:
                        return
                    continue
                try:
                    snapshot = await self._newest()
                    answer = await http.put("/snapshot", content=snapshot.canonical_json())
                except (httpx.HTTPError, StoreError) as error:
                    _log.warning("snapshot %d did not reach the data plane: %s", found.generation, error)
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
                if answer.status_code == 200:
                    self._generation = snapshot.generation
                else:
                    refused = snapshot.generation
                    _log.error("the data plane refuses snapshot %d: %s", refused, answer.text)
