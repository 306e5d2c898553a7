"""Python workers that crash, hang or eat memory: their batch fails, with its own code, and nothing else does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from tests.serverkit import moods
from tests.serverkit.fixtures import Serve
from tests.serverkit.gates import Gates
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint, snapshot
from tests.serverkit.waiting import until

RESTART_SECONDS = 20.0


def row(amount: float = 1.0, wish: int = moods.ANSWER, gate: int = 0) -> dict[str, float]:
    return {"amount": amount, "wish": wish, "gate": gate}


def ask(server: Server, name: str, *rows: dict[str, float]) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/endpoints/{name}:predict", json={"records": list(rows)}, timeout=30.0)


def scores(answer: httpx.Response) -> list[float]:
    assert answer.status_code == 200, answer.text
    return [prediction["score"] for prediction in answer.json()["predictions"]]


def restarts(server: Server, name: str) -> float:
    return server.metrics().total("fairlead_worker_restarts_total", endpoint=name)


def ready(server: Server, name: str) -> bool:
    return server.http.get(f"/v2/models/{name}/ready").status_code == 200


def seen(server: Server, name: str) -> dict[str, float]:
    return {
        "model": server.http.get(f"/v2/models/{name}/ready").status_code,
        "server": server.http.get("/v2/health/ready").status_code,
        "gauge": server.metrics().total("fairlead_variant_ready", endpoint=name),
    }


def in_thread(work: Callable[[], httpx.Response]) -> Callable[[], httpx.Response]:
    """Start `work` and return what waits for its result."""
    results: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()

    def wait() -> httpx.Response:
        thread.join(30.0)
        return results[0]

    return wait


FAULTS: dict[str, tuple[str, int, int, str, str]] = {
    "crash": ("moody", moods.DIE, 500, "worker_died", f"exit status: {moods.EXIT_CODE}"),
    "hang": ("impatient", moods.HANG, 504, "worker_timeout", "300ms"),
    "memory": ("confined", moods.DEVOUR, 500, "model_failed", "MemoryError"),
    "exception": ("moody", moods.RAISE, 500, "model_failed", f"ValueError: {moods.LAST_WORDS}"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fault", FAULTS)
def test_only_its_batch_fails(serve: Serve, models: Workshop, gates: Gates, fault: str) -> None:
    name, wish, status, code, words = FAULTS[fault]
    bundle = getattr(models, name).bundle
    server = serve(endpoint(name, bundle, max_rows=1, deadline_ms=20_000), environment=gates.environment)
    answer = ask(server, name, row(wish=wish))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert words in answer.json()["error"]
    for amount in range(20):
        assert scores(ask(server, name, row(amount))) == [amount * 2.0]
    assert server.metrics().outcomes(name) == {"ok": 20, code: 1}


@pytest.mark.timeout(60)
def test_the_other_worker_answers_meanwhile(serve: Serve, models: Workshop, gates: Gates) -> None:
    server = serve(
        endpoint("moody", models.moody.bundle, max_rows=1, deadline_ms=20_000), environment=gates.environment
    )
    gate = gates.new()
    held = in_thread(lambda: ask(server, "moody", row(3.0, gate=gate)))
    gates.wait_until_held(gate)
    assert ask(server, "moody", row(wish=moods.DIE)).json()["code"] == "worker_died"
    gates.open(gate)
    assert scores(held()) == [6.0], "the batch of the other worker is untouched"


@pytest.mark.parametrize("fault", ["crash", "hang"])
@pytest.mark.timeout(60)
def test_a_dead_worker_is_replaced_and_counted(serve: Serve, models: Workshop, fault: str) -> None:
    name, wish, *_ = FAULTS[fault]
    server = serve(endpoint(name, getattr(models, name).bundle, max_rows=1, deadline_ms=20_000))
    before = set(server.processes.descendants().living())
    assert restarts(server, name) == 0
    ask(server, name, row(wish=wish))
    until(lambda: restarts(server, name) == 1, "the restart is counted", seconds=RESTART_SECONDS)
    until(lambda: len(server.processes.descendants().living()) == 2, "two workers again", seconds=RESTART_SECONDS)
    assert len(before & set(server.processes.descendants().living())) == 1
    assert ready(server, name)


@pytest.mark.timeout(60)
def test_readiness_is_true_while_all_workers_are_down(serve: Serve, models: Workshop) -> None:
    server = serve(
        endpoint("gated", models.gated.bundle, max_rows=1, deadline_ms=20_000), endpoint("simple", models.simple.bundle)
    )
    assert ready(server, "gated")
    server.processes.descendants().kill()
    down = {"model": 503, "server": 503, "gauge": 0.0}
    until(lambda: seen(server, "gated") == down, "the model is not ready, and everything says so", every=0.001)
    assert ready(server, "simple"), "other models are not concerned"
    until(lambda: ready(server, "gated"), "the model is ready again", seconds=RESTART_SECONDS)
    assert server.http.get("/v2/health/ready").status_code == 200
    assert scores(ask(server, "gated", row(2.0))) == [4.0]


@pytest.mark.timeout(60)
def test_requests_while_all_workers_are_down_are_refused_or_wait(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("gated", models.gated.bundle, max_rows=1, deadline_ms=20_000))
    for _ in range(3):
        assert ask(server, "gated", row(wish=moods.DIE)).json()["code"] == "worker_died"
        answer = ask(server, "gated", row(5.0))
        if answer.status_code == 503:
            assert answer.json()["code"] == "not_ready"
            assert int(answer.headers["retry-after"]) >= 1
        else:
            assert scores(answer) == [10.0]
        until(lambda: ready(server, "gated"), "the model is ready again", seconds=RESTART_SECONDS)


@pytest.mark.timeout(60)
def test_an_idle_worker_that_is_killed_is_replaced(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("moody", models.moody.bundle))
    known = server.processes.descendants()
    known.kill()
    until(lambda: restarts(server, "moody") == 2, "both are started again", seconds=RESTART_SECONDS)
    until(lambda: ready(server, "moody"), "the model is ready", seconds=RESTART_SECONDS)
    assert scores(ask(server, "moody", row(1.0), row(2.0))) == [2.0, 4.0]
    assert server.metrics().outcomes("moody") == {"ok": 1}, "no request was concerned"


@pytest.mark.timeout(60)
def test_restarts_go_on_being_counted_after_a_swap(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("gated", models.gated.bundle, max_rows=1))
    ask(server, "gated", row(wish=moods.DIE))
    until(lambda: restarts(server, "gated") == 1, "the first restart is counted", seconds=RESTART_SECONDS)
    assert server.put(snapshot(endpoint("gated", models.gated.bundle, max_rows=2), generation=2)).status_code == 200
    ask(server, "gated", row(wish=moods.DIE))
    until(lambda: restarts(server, "gated") == 2, "the second restart is counted", seconds=RESTART_SECONDS)


@pytest.mark.timeout(60)
def test_one_bad_row_fails_its_request_and_not_its_neighbours(serve: Serve, models: Workshop, gates: Gates) -> None:
    server = serve(endpoint("gated", models.gated.bundle, deadline_ms=20_000), environment=gates.environment)
    gate = gates.new()
    first = in_thread(lambda: ask(server, "gated", row(gate=gate)))
    gates.wait_until_held(gate)
    # What comes now waits together, and is one batch.
    bad = in_thread(lambda: ask(server, "gated", row(7.0), row(wish=moods.RAISE)))
    good = [in_thread(partial(ask, server, "gated", row(amount))) for amount in range(5)]
    until(lambda: server.state()["endpoints"]["gated"]["rows_in_flight"] == 8, "all wait")
    gates.open(gate)
    assert first().status_code == 200
    assert bad().json()["code"] == "model_failed"
    assert [scores(wait()) for wait in good] == [[amount * 2.0] for amount in range(5)]


def test_neighbours_of_a_bad_row_are_answered_by_onnx_too(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("lookup", models.lookup.bundle, max_wait_us=20_000, dispatch="threads"))

    def look(index: int) -> httpx.Response:
        body: dict[str, Any] = {"inputs": [{"name": "index", "datatype": "INT64", "shape": [1], "data": [index]}]}
        return httpx.post(f"{server.url}/v2/models/lookup/infer", content=json.dumps(body), timeout=20.0)

    waits = [in_thread(partial(look, index)) for index in (1, 99, 2, -99, 3)]
    answers = [wait() for wait in waits]
    assert [answer.status_code for answer in answers] == [200, 500, 200, 500, 200]
    assert [answers[n].json()["outputs"][0]["data"] for n in (0, 2, 4)] == [[1.0], [4.0], [9.0]]


@pytest.mark.timeout(60)
def test_no_worker_outlives_a_server_that_is_killed(serve: Serve, models: Workshop, gates: Gates) -> None:
    server = serve(
        endpoint("moody", models.moody.bundle, max_rows=1, deadline_ms=60_000), environment=gates.environment
    )
    gate = gates.new()
    body = json.dumps({"records": [row(gate=gate)]})
    with httpx.Client(timeout=30.0) as client:
        sender = threading.Thread(target=_ignore_the_end, args=(client, server, body), daemon=True)
        sender.start()
        gates.wait_until_held(gate)
        known = server.processes.descendants()
        assert len(known.living()) == 2
        server.process.kill()
        server.wait_until_ended()
        sender.join(10.0)
    try:
        until(lambda: not known.living(), "idle and busy workers end with their server")
    finally:
        known.kill()


def _ignore_the_end(client: httpx.Client, server: Server, body: str) -> None:
    with pytest.raises(httpx.TransportError):
        client.post(f"{server.url}/v1/endpoints/moody:predict", content=body)
