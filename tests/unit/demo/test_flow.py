"""The steady traffic: as many units as were asked for, and every answer counted where its request was sent."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairlead.demo.connection import Target
from fairlead.demo.flow import Tally, stream_bodies
from fairlead.demo.material import Material, Stretch
from fairlead.demo.options import FAST
from fairlead.demo.stream import Stream, StreamPlan, version_of
from tests.serverkit.waiting import until

CUSTOMERS, ROWS = 30, 300


def material() -> Material:
    rows = np.arange(ROWS)
    return Material(
        endpoint="fraud",
        source="numbers",
        features=pd.DataFrame({"row": rows}),
        label_name="fraud",
        labels=np.zeros(ROWS, dtype=np.int8),
        weights=np.ones(ROWS),
        train=rows[:0],
        validation=rows[:0],
        live=(Stretch("first", rows[100:200]), Stretch("second", rows[200:])),
        unit=("customer", rows % CUSTOMERS),
    )


@pytest.mark.parametrize("wanted", [10, CUSTOMERS, 95])
def test_each_unit_has_one_request_with_a_payment_of_its_customer(wanted: int) -> None:
    found = [
        json.loads(body)["records"][0] for body in stream_bodies(material(), replace(FAST, stream_units=wanted), 1)
    ]
    assert len({record["customer"] for record in found}) == len(found) == wanted
    for record in found:
        assert 100 <= record["row"] < 200
        assert int(record["customer"].split("-")[0]) == record["row"] % CUSTOMERS


def test_stretches_add_up() -> None:
    one = {"sent": 3, "statuses": {"200": 2, "500": 1}, "versions": {"1": 2}, "last": {"1": 5.0}, "slowest": 0.5}
    other = {
        "sent": 2,
        "statuses": {"200": 2},
        "versions": {"1": 1, "2": 1},
        "last": {"1": 4.0, "2": 7.0},
        "slowest": 2,
    }
    tally = Tally.of([one, other])
    assert (tally.requests, tally.failed, tally.failures) == (5, {"500": 1}, 1)
    assert (tally.versions, tally.last, tally.slowest_ms) == ({"1": 3, "2": 1}, {"1": 5.0, "2": 7.0}, 2_000.0)


class Answers(BaseHTTPRequestHandler):
    """Answers with the server's version; the body `b` is refused."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(body)
        told = json.dumps({"version": self.server.version}, separators=(",", ":")).encode()
        self.send_response(200 if body == b"a" else 500)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)


class Server(ThreadingHTTPServer):
    """Knows what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.version = "0"
        self.asked: list[bytes] = []


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_stream_counts_each_answer_in_the_stretch_of_its_request(server: Server) -> None:
    target = Target("127.0.0.1", server.server_address[1], "/")
    plan = StreamPlan(url="", path="/", bodies="", rate=2_000.0, connections=2)
    stream = Stream(plan, [target.request(b"a"), target.request(b"b")])
    running = threading.Thread(target=lambda: asyncio.run(stream.run(target)))
    running.start()
    for version in range(3):
        if version:
            stream.begin()
            over = stream.stretches[-2]
            until(lambda: over.sent == sum(over.statuses.values()), "all of a stretch is answered")  # noqa: B023 - over within its turn
            server.version = str(version)
        wanted = len(server.asked) + 20
        until(lambda: len(server.asked) >= wanted, "requests come")  # noqa: B023 - over within its turn
    stream.end()
    running.join()
    for stretch in stream.stretches:
        assert stretch.sent == sum(stretch.statuses.values()) >= 20
        assert stretch.statuses["200"] == sum(stretch.versions.values())
        assert set(stretch.last) == set(stretch.versions)
    assert sum(stretch.sent for stretch in stream.stretches) == len(server.asked)
    assert sum(stretch.statuses["500"] for stretch in stream.stretches) == server.asked.count(b"b")
    assert list(stream.stretches[0].versions) == ["0"]
    assert "2" in stream.stretches[2].versions


def test_a_stream_without_a_server_fails() -> None:
    stream = Stream(StreamPlan(url="", path="/", bodies="", rate=1.0, connections=1), [b""])
    with pytest.raises(OSError, match="Connect call failed"):
        asyncio.run(stream.run(Target("127.0.0.1", 1, "/")))


def test_an_answer_without_a_version_is_refused() -> None:
    assert version_of(b'{"endpoint":"fraud","version":"2","variant":"champion"}') == "2"
    with pytest.raises(ValueError, match="not found"):
        version_of(b"{}")
