"""SIGTERM: not ready at once, what is in flight is finished, the log is whole, and the exit code is 0."""

from __future__ import annotations

import json
import signal
import socket
import time
from contextlib import ExitStack
from http import HTTPStatus

import httpx
import pytest

from fairlead.schema.snapshot import Endpoint
from fairlead.store.log import PredictionLog
from tests.serverkit import oip
from tests.serverkit.fixtures import Serve
from tests.serverkit.gates import Gates
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint
from tests.serverkit.traffic import Traffic
from tests.serverkit.waiting import until
from tests.serverkit.wire import Wire, request

PATH = "/v1/endpoints/binary:predict"
GATED = "/v1/endpoints/gated:predict"
PROMPT_SECONDS = 3.0


def gated(models: Workshop) -> Endpoint:
    return endpoint("gated", models.gated.bundle, max_rows=1, deadline_ms=30_000, durability="buffered")


def held(gate: int, amount: float = 1.0) -> bytes:
    return request(GATED, json.dumps({"records": [{"amount": amount, "wish": 0.0, "gate": gate}]}).encode())


def refuses(server: Server) -> bool:
    try:
        with socket.create_connection(server.address, timeout=1.0):
            return False
    except (ConnectionRefusedError, ConnectionResetError):  # the latter where it was closed while we stood in its queue
        return True


def logged(server: Server) -> set[str]:
    ids = PredictionLog(server.log).read("SELECT id FROM predictions").column("id").to_pylist()
    assert len(ids) == len(set(ids)), "no row is there twice"
    return set(ids)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once(serve: Serve, models: Workshop, stop: signal.Signals) -> None:
    server = serve(endpoint("binary", models.binary.bundle))
    with Wire(server.address) as idle:
        assert idle.ask(request("/v2", method="GET")).status == HTTPStatus.OK
        started = time.monotonic()
        server.process.send_signal(stop)
        assert server.wait_until_ended() == 0
        assert time.monotonic() - started < PROMPT_SECONDS
        assert idle.ended()


def test_what_is_in_flight_is_finished(serve: Serve, models: Workshop, gates: Gates) -> None:
    server = serve(gated(models), environment=gates.environment)
    gate = gates.new()
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.address)) for _ in range(5)]
        probe = stack.enter_context(httpx.Client(base_url=server.url, timeout=5.0))
        assert probe.get("/v2/health/ready").status_code == HTTPStatus.OK
        wires[0].send(held(gate, 0.0))
        gates.wait_until_held(gate)
        for number, wire in enumerate(wires[1:], start=1):
            wire.send(held(0, float(number)))
        until(lambda: server.state()["endpoints"]["gated"]["rows_in_flight"] == len(wires), "all are in flight")
        server.terminate()
        until(lambda: server.state()["draining"], "the server drains", every=0.001)
        assert server.admin.get("/health").status_code == HTTPStatus.SERVICE_UNAVAILABLE
        until(lambda: refuses(server), "new connections are refused")
        assert server.process.poll() is None, "it waits for what is in flight"
        gates.open(gate)
        answers = [wire.read() for wire in wires]
        assert server.wait_until_ended() == 0
    assert [answer.status for answer in answers] == [HTTPStatus.OK] * len(wires)
    told = [answer.json()["predictions"][0] for answer in answers]
    assert [prediction["score"] for prediction in told] == [number * 2.0 for number in range(len(wires))]
    assert logged(server) == {prediction["prediction_id"] for prediction in told}


def test_not_ready_is_told_at_once_while_connections_are_still_taken(
    serve: Serve, models: Workshop, gates: Gates
) -> None:
    server = serve(
        gated(models),
        endpoint("binary", models.binary.bundle),
        environment=gates.environment,
        arguments=["--shutdown-delay", "3"],
    )
    gate = gates.new()
    with Wire(server.address) as wire:
        wire.send(held(gate))
        gates.wait_until_held(gate)
        server.terminate()
        until(lambda: server.state()["draining"], "the server drains", every=0.001)
        # A load balancer that has not yet heard of it still gets through for a moment.
        assert httpx.get(f"{server.url}/v2/health/ready", timeout=5.0).status_code == HTTPStatus.SERVICE_UNAVAILABLE
        answer = httpx.post(f"{server.url}{PATH}", json={"records": [models.binary.records[0]]}, timeout=5.0)
        assert answer.status_code == HTTPStatus.OK
        assert answer.headers["connection"] == "close"
        gates.open(gate)
        assert wire.read().status == HTTPStatus.OK
    assert server.wait_until_ended() == 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("durability", ["buffered", "acknowledged"])
def test_under_load_every_answer_is_whole_and_in_the_log(serve: Serve, models: Workshop, durability: str) -> None:
    server = serve(endpoint("binary", models.binary.bundle, durability=durability))
    bodies = [request(PATH, json.dumps({"records": [record]}).encode()) for record in models.binary.records[:16]]
    with Traffic(server.address, bodies, connections=8) as traffic:
        traffic.wait_for(200)
        server.terminate()
        assert server.wait_until_ended() == 0
    broken = [exchange for exchange in traffic.exchanges if exchange.answer is None]
    answered = [exchange.answer for exchange in traffic.exchanges if exchange.answer is not None]
    assert {answer.status for answer in answered} == {HTTPStatus.OK}
    # A connection is closed between requests, or never taken: a client may have sent one in that moment.
    assert len(broken) <= 2 * traffic.connections
    received = {answer.json()["predictions"][0]["prediction_id"] for answer in answered}
    assert len(received) == len(answered)
    assert received <= logged(server)


@pytest.mark.timeout(60)
def test_pipelined_requests_are_not_lost_to_a_drain(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("doubling", models.doubling.bundle, durability="acknowledged"))
    one = request("/v2/models/doubling/infer", oip.body(oip.tensor("x", "FP32", [1.0])))
    received: list[str] = []
    with Wire(server.address) as wire:
        wire.send(one * 20)
        received += [wire.read().json()["parameters"]["prediction_id"] for _ in range(20)]
        server.terminate()
        until(lambda: server.state()["draining"], "the server drains", every=0.001)
        try:
            wire.send(one * 20)
            while True:
                received.append(wire.read().json()["parameters"]["prediction_id"])
        except ConnectionError:
            pass
    assert server.wait_until_ended() == 0
    assert logged(server) == set(received), "what was predicted was answered"


def test_a_request_beyond_the_grace_period_is_given_up_and_told(serve: Serve, models: Workshop, gates: Gates) -> None:
    server = serve(gated(models), environment=gates.environment, arguments=["--grace", "0.5", "--log-level", "error"])
    gate = gates.new()
    with Wire(server.address) as wire:
        wire.send(held(gate))
        gates.wait_until_held(gate)
        known = server.processes.descendants()
        started = time.monotonic()
        server.terminate()
        assert server.wait_until_ended() == 1
        assert time.monotonic() - started < PROMPT_SECONDS
    assert "grace period" in server.stderr()
    until(lambda: not known.living(), "the worker ends")


@pytest.mark.parametrize("sent", [b"", b"POST /v2", request(PATH, b"{}")[:-1]], ids=["nothing", "head", "body"])
def test_a_client_that_never_finishes_does_not_keep_the_server(serve: Serve, models: Workshop, sent: bytes) -> None:
    server = serve(endpoint("binary", models.binary.bundle), arguments=["--grace", "1"])
    with Wire(server.address) as wire:
        wire.send(sent)
        until(lambda: server.metrics().total("fairlead_connections") == 1, "it is connected")
        server.terminate()
        assert server.wait_until_ended() == 0


def test_a_second_signal_changes_nothing(serve: Serve, models: Workshop, gates: Gates) -> None:
    server = serve(gated(models), environment=gates.environment)
    gate = gates.new()
    with Wire(server.address) as wire:
        wire.send(held(gate))
        gates.wait_until_held(gate)
        server.terminate()
        until(lambda: server.state()["draining"], "the server drains", every=0.001)
        server.terminate()
        gates.open(gate)
        assert wire.read().status == HTTPStatus.OK
    assert server.wait_until_ended() == 0
