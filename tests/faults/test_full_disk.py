"""A disk that takes no more: what is promised is kept, what cannot be promised is refused, and it heals by itself."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from fairlead.store.log import PredictionLog
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint
from tests.serverkit.waiting import until

PATH = "/v1/endpoints/binary:predict"
ROOM = 256 * 1024
"""Bytes that a file may have while the disk is full: more than the server says meanwhile, less than the log needs."""


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    """No file of the server can grow beyond `ROOM`."""
    soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, hard))


def ask(server: Server, models: Workshop) -> httpx.Response:
    return server.http.post(PATH, content=json.dumps({"records": list(models.binary.records)}))


def ids(answer: httpx.Response) -> set[str]:
    return {row["prediction_id"] for row in answer.json()["predictions"]}


def good(answer: httpx.Response) -> list[httpx.Response]:
    """Return the answer, if it is one."""
    return [answer] if answer.status_code == httpx.codes.OK else []


def logged(server: Server) -> list[str]:
    found: list[str] = PredictionLog(server.log).read("SELECT id FROM predictions").column("id").to_pylist()
    return found


def answers_until_refused(server: Server, models: Workshop) -> tuple[set[str], httpx.Response]:
    told: set[str] = set()

    def refusals() -> list[httpx.Response]:
        answer = ask(server, models)
        if good(answer):
            told.update(ids(answer))
            return []
        return [answer]

    [refused] = until(refusals, "an answer is refused", seconds=20, every=0.001)
    return told, refused


@pytest.mark.timeout(60)
def test_an_acknowledged_endpoint_refuses_what_it_cannot_keep(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle, durability="acknowledged"))
    with full_disk(server):
        told, answer = answers_until_refused(server, models)
        assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")
        assert "prediction log" in answer.json()["error"]
        assert told
        assert told <= set(logged(server)), "what was acknowledged can be read all the while"
        assert ask(server, models).status_code == 503
    healed = until(lambda: good(ask(server, models)), "it heals")
    assert server.stop() == 0
    everything = logged(server)
    assert told.union(*map(ids, healed)) <= set(everything)
    assert len(everything) == len(set(everything))


@pytest.mark.timeout(60)
def test_a_buffered_endpoint_goes_on_and_keeps_its_rows(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle, durability="buffered"))
    told: set[str] = set()
    with full_disk(server):
        while server.state()["log"]["last_error"] is None:  # the test's timeout bounds it
            told |= ids(ask(server, models))
        for _ in range(3):
            told |= ids(ask(server, models))
    until(lambda: told <= set(logged(server)), "every row is written once there is room", seconds=10)
    assert server.metrics().total("fairlead_log_lost_rows_total") == 0
