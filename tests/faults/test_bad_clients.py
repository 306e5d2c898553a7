"""Clients that are slow, that go away, that never speak: they cost what they must, and nobody else anything."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from fairlead.schema.serve import Limits
from tests.serverkit import oip
from tests.serverkit.fixtures import Serve
from tests.serverkit.gates import Gates
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint
from tests.serverkit.waiting import until
from tests.serverkit.wire import Wire, head, request

INFER = "/v2/models/doubling/infer"
GATED = "/v1/endpoints/gated:predict"
CROWD = 1_000


def body(value: float = 1.5) -> bytes:
    return oip.body(oip.tensor("x", "FP32", [value]))


def held(gate: int) -> bytes:
    return request(GATED, json.dumps({"records": [{"amount": 1.0, "wish": 0.0, "gate": gate}]}).encode())


@pytest.fixture
def server(serve: Serve, models: Workshop) -> Iterator[Server]:
    server = serve(endpoint("doubling", models.doubling.bundle))
    yield server
    assert server.http.post(INFER, content=body()).status_code == 200
    until(lambda: server.state()["requests_in_flight"] == 0, "nothing is in flight any more")


@pytest.fixture
def gated(serve: Serve, models: Workshop, gates: Gates) -> Server:
    return serve(endpoint("gated", models.gated.bundle, deadline_ms=60_000, max_rows=1), environment=gates.environment)


def test_a_slow_client_is_answered_and_holds_nobody_up(server: Server) -> None:
    content = request(INFER, body())
    with Wire(server.address) as slow:
        for byte in content[:-1]:
            slow.send(bytes([byte]))
            if byte == ord("{"):
                assert server.http.post(INFER, content=body()).status_code == 200
        slow.send(content[-1:])
        assert slow.read().status == 200


def test_a_client_that_reads_late_gets_its_whole_answer(serve: Serve, models: Workshop) -> None:
    rows = 16_384
    large = request(INFER, oip.body(oip.tensor("x", "FP32", [0.12345678] * rows)))
    server = serve(endpoint("doubling", models.doubling.bundle, queue_rows=10 * rows))
    with Wire(server.address) as slow:
        slow.send(large * 8)
        assert server.http.post(INFER, content=body()).status_code == 200
        for _ in range(8):
            answer = slow.read()
            assert len(answer.json()["outputs"][0]["data"]) == rows


@pytest.mark.parametrize("cut", ["in_the_head", "in_the_body", "before_the_answer"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_goes_away_leaves_nothing_behind(server: Server, cut: str, how: str) -> None:
    whole = request(INFER, body())
    sent = {"in_the_head": whole[:30], "in_the_body": whole[:-5], "before_the_answer": whole}[cut]
    for _ in range(50):
        wire = Wire(server.address)
        wire.send(sent)
        getattr(wire, how)()
    until(lambda: server.metrics().total("fairlead_connections") <= 1, "the connections are gone")
    assert server.state()["endpoints"]["doubling"]["rows_in_flight"] == 0


def test_who_left_while_waiting_is_skipped_and_counted(gated: Server, gates: Gates) -> None:
    gate = gates.new()
    with Wire(gated.address) as first:
        first.send(held(gate))
        gates.wait_until_held(gate)
        waiting = [Wire(gated.address) for _ in range(5)]
        for wire in waiting:
            wire.send(held(0))
        until(lambda: gated.state()["endpoints"]["gated"]["rows_in_flight"] == 6, "all are queued")
        for wire in waiting:
            wire.reset()
        until(lambda: gated.state()["requests_in_flight"] == 1, "the server notices that they left")
        gates.open(gate)
        assert first.read().status == 200
    until(lambda: gated.state()["endpoints"]["gated"]["rows_in_flight"] == 0, "the queue is empty")
    scrape = gated.metrics()
    assert scrape.total("fairlead_abandoned_total", endpoint="gated") == 5
    assert scrape.outcomes("gated") == {"ok": 1}
    assert scrape.total("fairlead_rows_total", endpoint="gated") == 1, "nothing was computed for them"


def test_who_left_while_being_computed_is_counted_too(gated: Server, gates: Gates) -> None:
    gate = gates.new()
    wire = Wire(gated.address)
    wire.send(held(gate))
    gates.wait_until_held(gate)
    wire.reset()
    until(lambda: gated.state()["requests_in_flight"] == 0, "the server notices that it left")
    gates.open(gate)
    until(lambda: gated.state()["endpoints"]["gated"]["rows_in_flight"] == 0, "the batch is done")
    scrape = gated.metrics()
    assert scrape.outcomes("gated").get("ok", 0) + scrape.total("fairlead_abandoned_total", endpoint="gated") == 1


def test_who_half_closes_counts_as_gone(server: Server) -> None:
    # Whoever will say no more cannot be told from whoever has left; the request may be answered or not.
    for _ in range(20):
        with Wire(server.address) as wire:
            wire.send(request(INFER, body()))
            wire.socket.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                assert wire.read().status == 200
    until(lambda: server.metrics().total("fairlead_connections") <= 1, "the connections are gone")


def test_a_head_of_no_end_is_refused(server: Server) -> None:
    with Wire(server.address) as wire:
        wire.send(b"GET /v2 HTTP/1.1\r\nHost: server\r\n")
        try:
            for number in range(10_000):
                wire.send(b"X-%d: %b\r\n" % (number, b"x" * 1_000))
            answer = wire.read()
        except ConnectionError:
            return  # it had enough, and its answer was lost on the way
    assert answer.status == 431


@pytest.mark.parametrize(
    "line", [b"GET /%b HTTP/1.1\r\n" % (b"x" * 1_000_000), b"GET /v2 HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00" * 50]
)
def test_a_first_line_that_is_none_ends_the_connection(server: Server, line: bytes) -> None:
    with Wire(server.address) as wire:
        try:
            wire.send(line)
            answer = wire.read()
        except ConnectionError:
            return
        assert 400 <= answer.status < 500
        assert wire.ended()


@pytest.mark.parametrize("length", ["x", "-1", "1, 2", "99999999999999999999999"])
def test_a_length_that_is_none_is_refused(server: Server, length: str) -> None:
    with Wire(server.address) as wire:
        try:
            assert wire.ask(head(INFER, headers={"Content-Length": length})).status == 400
        except ConnectionError:
            return


def test_a_body_cannot_be_smuggled(server: Server) -> None:
    both = {"Content-Length": "5", "Transfer-Encoding": "chunked"}
    smuggled = request("/nowhere", b"")
    with Wire(server.address) as wire:
        answer = wire.ask(head(INFER, headers=both) + b"0\r\n\r\n" + smuggled)
        assert answer.status == 400
        try:
            following = wire.read()
        except ConnectionError:
            return
    assert following.status == 404, "what follows an empty chunked body is a request of its own, read once"


def test_a_thousand_idle_connections_disturb_nobody(serve: Serve, models: Workshop) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= 2 * CROWD, "the machine lets a process open too few files for this test"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * CROWD), hard))
    server = serve(endpoint("doubling", models.doubling.bundle))
    before = server.processes.memory_mb()
    with ExitStack() as crowd:
        for number in range(CROWD):
            wire = crowd.enter_context(Wire(server.address))
            if number % 2:  # half of them have spoken before they fell silent
                assert wire.ask(request(INFER, body())).status == 200
        until(lambda: server.metrics().total("fairlead_connections") >= CROWD, "all are connected")
        for value in range(50):
            answer = server.http.post(INFER, content=body(value))
            assert answer.json()["outputs"][0]["data"] == [value * 2.0]
        assert server.processes.memory_mb() < before + 100
    until(lambda: server.metrics().total("fairlead_connections") <= 1, "all have gone")


def test_more_connections_than_allowed_wait_for_their_turn(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("doubling", models.doubling.bundle), limits=Limits(connections=4))
    with ExitStack() as stack:
        allowed = [stack.enter_context(Wire(server.address)) for _ in range(4)]
        for wire in allowed:
            assert wire.ask(request(INFER, body())).status == 200
        late = stack.enter_context(Wire(server.address))
        late.send(request(INFER, body()))
        allowed[0].close()
        assert late.read().status == 200


@pytest.mark.parametrize(
    "sent", [b"", b"POST /v2/models", request(INFER, body())[:-5]], ids=["nothing", "head", "body"]
)
def test_who_never_finishes_a_request_is_let_go(serve: Serve, models: Workshop, sent: bytes) -> None:
    limits = Limits(header_timeout_ms=300)
    server = serve(endpoint("doubling", models.doubling.bundle, deadline_ms=300), limits=limits)
    with Wire(server.address, timeout=10.0) as wire:
        wire.send(sent)
        until(lambda: server.metrics().total("fairlead_connections") == 0, "the connection is given up", seconds=8)
