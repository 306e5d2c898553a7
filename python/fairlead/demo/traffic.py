"""The traffic: a process of its own that sends requests and writes down every answer.

Run as `python -m fairlead.demo.traffic PLAN.json`. Progress goes to stdout, one JSON object a line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fairlead.demo.connection import Connection, Target

PROGRESS_SECONDS = 0.25
ANSWER_SECONDS = 20.0
"""A request that takes longer is a failure of the whole run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhasePlan:
    """One kind of traffic."""

    name: str
    bodies: str
    """File with one request body a line."""
    answers: str
    """File to write, see `Phase.write`."""
    rate: float | None
    """Requests a second, evenly spaced whatever the answers do (open loop); None: each connection as fast as it can."""
    seconds: float
    """How long to send. Where the rate is open-ended, the requests are sent again from the first when they run out:
    a rate measured over the blink that a short file lasts would say nothing."""
    connections: int


@dataclass(slots=True)
class Phase:
    """A phase under way."""

    plan: PhasePlan
    target: Target
    requests: list[bytes]
    answers: list[tuple[int, int, float, bytes]] = field(default_factory=list)
    """(request, status, latency in seconds, body)."""
    sent: int = 0
    idle: deque[Connection] = field(default_factory=deque)
    overdue: deque[tuple[int, float]] = field(default_factory=deque)
    """Requests whose time has come while every connection is busy."""
    failure: str | None = None
    started: float = 0.0
    last: float = 0.0
    """When the newest answer came."""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Send until the time is up, and wait for every answer. Raises `OSError` on a failure."""
        loop = asyncio.get_running_loop()
        connections = []
        for _ in range(self.plan.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self._answered, self._fail), self.target.host, self.target.port
            )
            connections.append(connection)
        self.idle.extend(connections)
        self.started = self.last = time.perf_counter()
        try:
            await (self._flood() if self.plan.rate is None else self._pace(self.plan.rate))
        finally:
            for connection in connections:
                connection.close()
        if self.failure is not None:
            raise OSError(self.failure)

    def write(self) -> None:
        """Write the phase's length, then `[request, status, latency in microseconds, answer]` for every answer."""
        with Path(self.plan.answers).open("w", encoding="utf-8") as file:
            file.write(json.dumps({"seconds": self.last - self.started}) + "\n")
            for request, status, latency, body in self.answers:
                text = body.decode("utf-8", errors="replace")
                file.write(json.dumps([request, status, round(latency * 1e6, 1), text], ensure_ascii=False) + "\n")

    def tell(self) -> None:
        """One line of progress."""
        seconds = time.perf_counter() - self.started
        line = {"phase": self.plan.name, "answers": len(self.answers), "seconds": round(seconds, 3)}
        print(json.dumps(line), flush=True)

    async def _pace(self, rate: float) -> None:
        count = min(len(self.requests), int(rate * self.plan.seconds))
        while self.sent < count and self.failure is None:
            now = time.perf_counter()
            while self.sent < count and (due := self.started + self.sent / rate) <= now:
                self._dispatch(self.sent, due)
                self.sent += 1
            await asyncio.sleep(max(0.0, self.started + self.sent / rate - time.perf_counter()))
        await self._drain(count)

    async def _flood(self) -> None:
        while self.idle:
            self._next(self.idle.popleft(), time.perf_counter())
        await self._drain(None)

    async def _drain(self, count: int | None) -> None:
        """Wait for the answers to all that was sent (`count` requests, or until the flood has ebbed)."""
        limit = self.plan.seconds + ANSWER_SECONDS
        while self.failure is None and (len(self.answers) < self.sent if count is None else len(self.answers) < count):
            left = self.started + limit - time.perf_counter()
            if left <= 0:
                self._fail(f"no answer within {ANSWER_SECONDS:.0f} s")
                return
            try:
                async with asyncio.timeout(min(left, 1.0)):
                    await self.over.wait()
            except TimeoutError:
                continue
            self.over.clear()

    def _dispatch(self, request: int, due: float) -> None:
        if self.idle:
            self.idle.popleft().send(self.requests[request], request, due)
        else:
            self.overdue.append((request, due))

    def _next(self, connection: Connection, now: float) -> None:
        request = self.sent % len(self.requests)
        connection.send(self.requests[request], request, now)
        self.sent += 1

    def _answered(self, connection: Connection, status: int, body: bytes, moment: float) -> None:
        self.answers.append((connection.tag, status, moment - connection.due, body))
        self.last = moment
        if self.plan.rate is None:
            if moment - self.started < self.plan.seconds:
                self._next(connection, moment)
                return
        elif self.overdue:
            request, due = self.overdue.popleft()
            connection.send(self.requests[request], request, due)
            return
        self.idle.append(connection)
        self.over.set()

    def _fail(self, why: str) -> None:
        self.failure = self.failure or why
        self.over.set()


def read_requests(plan: PhasePlan, target: Target) -> list[bytes]:
    """The requests of a phase, whole."""
    return [target.request(line) for line in Path(plan.bodies).read_bytes().splitlines()]


async def run_phase(plan: PhasePlan, target: Target) -> None:
    """Run one phase, tell of its progress and write its answers. Raises `OSError` where the server fails it."""
    phase = Phase(plan, target, read_requests(plan, target))
    work = asyncio.ensure_future(phase.run())
    while not work.done():
        await asyncio.wait({work}, timeout=PROGRESS_SECONDS)
        if phase.started:
            phase.tell()
    await work
    phase.write()


async def _run(document: dict[str, object]) -> None:
    address = urlsplit(str(document["url"]))
    target = Target(str(address.hostname), int(address.port or 80), str(document["path"]))
    phases = document["phases"]
    assert isinstance(phases, list)
    for phase in phases:
        await run_phase(PhasePlan(**phase), target)


def main() -> int:
    """Run the plan named on the command line."""
    # Answers pile up and hold no cycles: collections would only cost more and more, and count as latency.
    gc.disable()
    try:
        asyncio.run(_run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
    except (OSError, ValueError) as error:
        print(f"traffic: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
