"""A control plane for the data plane's tests: answers long polls with a snapshot, and keeps the reports."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fairlead.schema.snapshot import Snapshot
from tests.serverkit.waiting import until

LONGEST_POLL = 2.0


class Plane:
    """What the control plane knows. `polls` and `reports` are what came; `broken` makes it answer 500."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        """Offer `snapshot`, if there is one."""
        self.snapshot = snapshot
        self.polls: list[dict[str, list[str]]] = []
        self.reports: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.broken = False
        self.url = ""

    def arms(self, endpoint: str, epoch: int) -> dict[str, dict[str, Any]]:
        """Return the newest report's arms of an endpoint in an epoch, by version."""
        if not self.reports:
            return {}
        (found,) = [e for e in self.reports[-1]["endpoints"] if e["name"] == endpoint] or [{"arms": []}]
        return {arm["version"]: arm for arm in found["arms"] if arm["epoch"] == epoch}

    def wait_for_reports(self, more: int = 2) -> None:
        """Return when `more` reports have come: the last was made after the call."""
        wanted = len(self.reports) + more
        until(lambda: len(self.reports) >= wanted, f"{more} reports come")


@contextmanager
def plane(snapshot: Snapshot | None = None) -> Iterator[Plane]:
    """Run a control plane on a free port of the loopback."""
    state = Plane(snapshot)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            state.polls.append(query)
            state.keys.add(self.headers.get("Authorization"))
            after = int(query["after"][0])
            end = time.monotonic() + min(float(query["wait"][0]), LONGEST_POLL)
            while time.monotonic() < end and not state.broken:
                if state.snapshot is not None and state.snapshot.generation > after:
                    return self._answer(200, state.snapshot.canonical_json())
                time.sleep(0.01)
            return self._answer(500 if state.broken else 204, b"")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not state.broken:
                state.reports.append(body)
            self._answer(500 if state.broken else 200, b"{}")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
