"""Steady traffic for as long as it is wanted: a process of its own that sends, and counts who answered what.

Run as `python -m fairlead.demo.stream PLAN.json`. Whenever a line comes on stdin a new *stretch* begins, and at its end
the stream ends. Counts go to stdout, one JSON object a line; they are of the whole stream, by the stretch in which a
request was sent. Moments are those of `time.monotonic`, which all processes of the machine share.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fairlead.demo.connection import Connection, Target

TELL_SECONDS = 0.1
ANSWER_SECONDS = 20.0
"""An answer that takes longer is a failure of the stream."""
OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """What to send."""

    url: str
    path: str
    bodies: str
    """File with one request body a line; sent in turn, again and again."""
    rate: float
    """Requests a second, evenly spaced whatever the answers do."""
    connections: int


@dataclass(slots=True)
class Stretch:
    """What came of the requests of one stretch."""

    sent: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    """Of the answers with status 200."""
    last: dict[str, float] = field(default_factory=dict)
    """When a version last answered."""
    slowest: float = 0.0
    """Seconds, from the moment that a request was due."""

    def count(self, status: int, body: bytes, seconds: float) -> None:
        """Take an answer."""
        self.statuses[str(status)] = self.statuses.get(str(status), 0) + 1
        self.slowest = max(self.slowest, seconds)
        if status == OK:
            version = version_of(body)
            self.versions[version] = self.versions.get(version, 0) + 1
            self.last[version] = time.monotonic()


class Stream:
    """The stream under way."""

    def __init__(self, plan: StreamPlan, requests: list[bytes]) -> None:
        """Send nothing yet."""
        self._plan, self._requests = plan, requests
        self._idle: deque[Connection] = deque()
        self._overdue: deque[tuple[int, float]] = deque()
        self._due = self._asked = self._answered = 0
        self._failure: str | None = None
        self._wanted = True
        self.stretches = [Stretch()]

    async def run(self, target: Target) -> None:
        """Send until `end` is called, and wait for every answer. Raises `OSError` on a failure."""
        loop = asyncio.get_running_loop()
        connections = []
        for _ in range(self._plan.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self._take, self._fail), target.host, target.port
            )
            connections.append(connection)
        self._idle.extend(connections)
        try:
            await self._send()
            limit = time.perf_counter() + ANSWER_SECONDS
            while self._failure is None and self._answered < self._asked:
                if time.perf_counter() > limit:
                    self._fail(f"no answer within {ANSWER_SECONDS:.0f} s")
                await asyncio.sleep(0.01)
        finally:
            for connection in connections:
                connection.close()
        if self._failure is not None:
            raise OSError(self._failure)

    def begin(self) -> None:
        """Begin another stretch."""
        self.stretches.append(Stretch())

    def end(self) -> None:
        """Send no more, not even what is overdue."""
        self._wanted = False
        self._overdue.clear()

    def tell(self) -> None:
        """One line with all counts."""
        stretches = [asdict(stretch) for stretch in self.stretches]
        print(json.dumps({"answered": self._answered, "stretches": stretches}), flush=True)

    async def _send(self) -> None:
        started = time.perf_counter()
        while self._wanted and self._failure is None:
            now = time.perf_counter()
            while (due := started + self._due / self._plan.rate) <= now:
                self._dispatch(self._due % len(self._requests), due)
                self._due += 1
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    def _dispatch(self, number: int, due: float) -> None:
        if self._idle:
            self._ask(self._idle.popleft(), number, due)
        else:
            self._overdue.append((number, due))

    def _ask(self, connection: Connection, number: int, due: float) -> None:
        self._asked += 1
        self.stretches[-1].sent += 1
        connection.send(self._requests[number], len(self.stretches) - 1, due)

    def _take(self, connection: Connection, status: int, body: bytes, moment: float) -> None:
        self._answered += 1
        self.stretches[connection.tag].count(status, body, moment - connection.due)
        if self._overdue:
            self._ask(connection, *self._overdue.popleft())
        else:
            self._idle.append(connection)

    def _fail(self, why: str) -> None:
        self._failure = self._failure or why


def version_of(body: bytes) -> str:
    """Return the version that gave an answer; raises `ValueError` where it does not say."""
    mark = b'"version":"'
    at = body.index(mark) + len(mark)
    return body[at : body.index(b'"', at)].decode()


async def _run(stream: Stream, target: Target) -> None:
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)

    async def obey() -> None:
        while await orders.readline():
            stream.begin()
        stream.end()

    obeying, work = asyncio.ensure_future(obey()), asyncio.ensure_future(stream.run(target))
    while not work.done():
        await asyncio.wait({work}, timeout=TELL_SECONDS)
        stream.tell()
    obeying.cancel()
    await work


def main() -> int:
    """Run the plan named on the command line."""
    # Nothing piles up, and nothing holds cycles: collections would only count as latency.
    gc.disable()
    try:
        plan = StreamPlan(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
        address = urlsplit(plan.url)
        target = Target(str(address.hostname), int(address.port or 80), plan.path)
        requests = [target.request(line) for line in Path(plan.bodies).read_bytes().splitlines()]
        asyncio.run(_run(Stream(plan, requests), target))
    except (OSError, ValueError) as error:
        print(f"stream: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
