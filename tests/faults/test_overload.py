"""More work than can be done: refused by name, at once, and nothing that was let in is lost."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest

from tests.serverkit import moods, oip
from tests.serverkit.fixtures import Serve
from tests.serverkit.gates import Gates
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint
from tests.serverkit.traffic import Traffic, percentile
from tests.serverkit.waiting import until
from tests.serverkit.wire import Wire, request

GATED = "/v1/endpoints/gated:predict"
QUEUE = 8
GENEROUS = 5.0
FLOOR_SECONDS = 0.050


def ask(gate: int = 0, amount: float = 1.0, *, wish: int = moods.ANSWER, rows: int = 1, **members: float) -> bytes:
    record = {"amount": amount, "wish": wish, "gate": gate}
    return request(GATED, json.dumps({"records": [record] * rows, **members}).encode())


def waiting(server: Server) -> int:
    rows: int = server.state()["endpoints"]["gated"]["rows_in_flight"]
    return rows


@pytest.fixture
def full(serve: Serve, models: Workshop, gates: Gates) -> Server:
    """A server whose queue holds few rows."""
    one = endpoint("gated", models.gated.bundle, queue_rows=QUEUE, queue_wait_ms=0, max_rows=1, deadline_ms=30_000)
    return serve(one, environment=gates.environment)


def test_a_full_queue_refuses_at_once_and_loses_nothing(full: Server, gates: Gates) -> None:
    gate = gates.new()
    with ExitStack() as stack:
        admitted = [stack.enter_context(Wire(full.address)) for _ in range(QUEUE)]
        admitted[0].send(ask(gate, 0.0))
        gates.wait_until_held(gate)
        for number, wire in enumerate(admitted[1:], start=1):
            wire.send(ask(0, float(number)))
        until(lambda: waiting(full) == QUEUE, "the queue is full")
        late = stack.enter_context(Wire(full.address))
        for _ in range(20):
            answer = late.ask(ask())
            assert (answer.status, answer.json()["code"]) == (429, "queue_full")
            assert int(answer.headers["retry-after"]) >= 1
            assert str(QUEUE) in answer.json()["error"]
        gates.open(gate)
        answers = [wire.read() for wire in admitted]
    assert [answer.status for answer in answers] == [200] * QUEUE
    assert [answer.json()["predictions"][0]["score"] for answer in answers] == [n * 2.0 for n in range(QUEUE)]
    with Wire(full.address) as again:
        assert again.ask(ask()).status == 200, "it recovers"
    assert full.metrics().outcomes("gated") == {"ok": QUEUE + 1, "queue_full": 20}


def test_a_request_that_finds_the_queue_full_waits_a_moment_for_room(
    serve: Serve, models: Workshop, gates: Gates
) -> None:
    patient = endpoint("gated", models.gated.bundle, queue_rows=1, queue_wait_ms=20_000, max_rows=1, deadline_ms=30_000)
    server = serve(patient, environment=gates.environment)
    gate = gates.new()
    with Wire(server.address) as first, Wire(server.address) as second, Wire(server.address) as third:
        first.send(ask(gate, 1.0))
        gates.wait_until_held(gate)
        second.send(ask(0, 2.0))
        until(lambda: server.state()["endpoints"]["gated"]["requests_waiting"] == 1, "it waits")
        hurried = third.ask(ask(timeout_ms=100))
        assert (hurried.status, hurried.json()["code"]) == (429, "queue_full"), "as many wait as the queue has rows"
        gates.open(gate)
        assert [wire.read().json()["predictions"][0]["score"] for wire in (first, second)] == [2.0, 4.0]
    assert server.metrics().outcomes("gated") == {"ok": 2, "queue_full": 1}


def test_nobody_waits_for_room_longer_than_told(serve: Serve, models: Workshop, gates: Gates) -> None:
    one = endpoint("gated", models.gated.bundle, queue_rows=1, queue_wait_ms=50, max_rows=1, deadline_ms=30_000)
    server = serve(one, environment=gates.environment)
    gate = gates.new()
    with Wire(server.address) as first, Wire(server.address) as second:
        first.send(ask(gate))
        gates.wait_until_held(gate)
        assert second.ask(ask()).status == 429
        gates.open(gate)
        assert first.read().status == 200


def test_rows_count_and_not_requests(full: Server, gates: Gates) -> None:
    gate = gates.new()
    with Wire(full.address) as first, Wire(full.address) as second:
        first.send(ask(gate, rows=QUEUE - 2))
        gates.wait_until_held(gate)
        assert second.ask(ask(rows=3)).status == 429
        second.send(ask(rows=2))
        until(lambda: waiting(full) == QUEUE, "what fits is let in")
        gates.open(gate)
        assert (first.read().status, second.read().status) == (200, 200)


def test_a_request_larger_than_the_queue_is_let_in_when_nobody_waits(full: Server) -> None:
    with Wire(full.address) as wire:
        assert wire.ask(ask(rows=3 * QUEUE)).status == 200
    assert waiting(full) == 0


@pytest.mark.parametrize("how", ["header", "member", "endpoint", "parameters"])
def test_a_request_past_its_deadline_is_told_so(serve: Serve, models: Workshop, gates: Gates, how: str) -> None:
    deadline = 100 if how == "endpoint" else 30_000
    server = serve(
        endpoint("gated", models.gated.bundle, max_rows=1, deadline_ms=deadline), environment=gates.environment
    )
    gate = gates.new()
    body = json.dumps({"records": [{"amount": 1.0, "wish": 0, "gate": 0}]}).encode()
    tensors = [oip.tensor(name, "FP64", [0.0]) for name in ("amount", "wish", "gate")]
    hurried = {
        "header": request(GATED, body, headers={"fairlead-timeout-ms": "100"}),
        "member": ask(timeout_ms=100),
        "endpoint": request(GATED, body),
        "parameters": request("/v2/models/gated/infer", oip.body(*tensors, parameters={"timeout": 100_000})),
    }[how]
    with Wire(server.address) as first, Wire(server.address) as second:
        first.send(ask(gate))
        gates.wait_until_held(gate)
        answer = second.ask(hurried)
        assert (answer.status, answer.json()["code"]) == (504, "deadline_exceeded")
        assert "100 ms" in answer.json()["error"]
        gates.open(gate)
        assert first.read().status == (504 if how == "endpoint" else 200)
        until(lambda: waiting(server) == 0, "nothing waits any more")
    scrape = server.metrics()
    computed = scrape.total("fairlead_rows_total", endpoint="gated")
    assert computed == 1, "what nobody waits for is not computed"
    assert scrape.outcomes("gated")["deadline_exceeded"] == (2 if how == "endpoint" else 1)


def test_a_client_cannot_ask_for_more_time_than_the_endpoint_gives(
    serve: Serve, models: Workshop, gates: Gates
) -> None:
    server = serve(endpoint("gated", models.gated.bundle, max_rows=1, deadline_ms=100), environment=gates.environment)
    gate = gates.new()
    with Wire(server.address) as wire:
        assert wire.ask(ask(gate, timeout_ms=60_000)).status == 504
    gates.open(gate)


def test_a_deadline_holds_where_the_model_runs_inline(serve: Serve, models: Workshop) -> None:
    # It would wait five seconds for company; the deadline is far before.
    server = serve(endpoint("doubling", models.doubling.bundle, dispatch="inline", max_wait_us=5_000_000))
    content = oip.body(oip.tensor("x", "FP32", [1.0]), parameters={"timeout": 50_000})
    answer = server.http.post("/v2/models/doubling/infer", content=content)
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    assert answer.elapsed.total_seconds() < 2.0


@pytest.mark.parametrize("how", ["header", "member", "parameters"])
def test_no_time_at_all_means_the_endpoints_own(serve: Serve, models: Workshop, gates: Gates, how: str) -> None:
    server = serve(endpoint("gated", models.gated.bundle, deadline_ms=30_000), environment=gates.environment)
    tensors = [oip.tensor(name, "FP64", [0.0]) for name in ("amount", "wish", "gate")]
    body = json.dumps({"records": [{"amount": 1.0, "wish": 0, "gate": 0}]}).encode()
    unhurried = {
        "header": request(GATED, body, headers={"fairlead-timeout-ms": "0"}),
        "member": ask(timeout_ms=0),
        "parameters": request("/v2/models/gated/infer", oip.body(*tensors, parameters={"timeout": 0})),
    }[how]
    with Wire(server.address) as wire:
        assert wire.ask(unhurried).status == 200


@pytest.mark.parametrize("time", ["soon", "-5", "1e3", "", "9" * 40])
def test_a_time_that_is_none_is_refused_by_name(serve: Serve, models: Workshop, time: str) -> None:
    server = serve(endpoint("doubling", models.doubling.bundle))
    content = oip.body(oip.tensor("x", "FP32", [1.0]))
    with Wire(server.address) as wire:
        answer = wire.ask(request("/v2/models/doubling/infer", content, headers={"fairlead-timeout-ms": time}))
    assert (answer.status, answer.json()["code"]) == (400, "malformed_request")
    assert "fairlead-timeout-ms" in answer.json()["error"]


@pytest.mark.timeout(60)
def test_a_hot_endpoint_does_not_starve_another(serve: Serve, models: Workshop, gates: Gates) -> None:
    server = serve(
        endpoint("gated", models.gated.bundle, queue_rows=64, max_rows=1, deadline_ms=30_000),
        endpoint("binary", models.binary.bundle),
        environment=gates.environment,
    )
    quick = request("/v1/endpoints/binary:predict", json.dumps({"records": [models.binary.records[0]]}).encode())
    with Traffic(server.address, [quick], connections=1) as alone:
        alone.wait_for(1_000)
    # The hot one: a worker that is always busy, a queue that is always full, and callers that come back at once.
    with Traffic(server.address, [ask(wish=moods.TOIL)], connections=8) as hot:
        hot.wait_for(50)
        with Traffic(server.address, [quick], connections=1) as beside:
            beside.wait_for(1_000, seconds=40)
    assert alone.statuses() == {200: len(alone.exchanges)}
    assert beside.statuses() == {200: len(beside.exchanges)}
    bound = GENEROUS * max(percentile(alone.exchanges, 0.99), FLOOR_SECONDS / GENEROUS)
    assert percentile(beside.exchanges, 0.99) <= bound


def test_an_endpoint_that_stands_still_holds_up_nobody(serve: Serve, models: Workshop, gates: Gates) -> None:
    server = serve(
        endpoint("gated", models.gated.bundle, queue_rows=QUEUE, deadline_ms=30_000),
        endpoint("binary", models.binary.bundle),
        environment=gates.environment,
    )
    gate = gates.new()
    with ExitStack() as stack:
        stuck = [stack.enter_context(Wire(server.address)) for _ in range(QUEUE)]
        stuck[0].send(ask(gate))
        gates.wait_until_held(gate)
        for wire in stuck[1:]:
            wire.send(ask())
        until(lambda: waiting(server) == QUEUE, "the queue is full")
        for record in models.binary.records[:100]:
            answer = server.http.post("/v1/endpoints/binary:predict", json={"records": [record]})
            assert answer.status_code == 200
        assert waiting(server) == QUEUE, "the other one has not moved meanwhile"
        gates.open(gate)
        assert {wire.read().status for wire in stuck} == {200}
