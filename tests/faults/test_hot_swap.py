"""A hundred swaps under load: no request fails, every answer is one of the two models', and nothing piles up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint, snapshot
from tests.serverkit.traffic import Traffic
from tests.serverkit.waiting import until
from tests.serverkit.wire import request

PATH = "/v1/endpoints/binary:predict"
SWAPS = 100
WARM_UP = 20
GROWTH_MB = 40
RECORDS = 16


def bodies(models: Workshop) -> list[bytes]:
    return [request(PATH, json.dumps({"records": [record]}).encode()) for record in models.binary.records[:RECORDS]]


def swap(server: Server, bundle: Path, generation: int, **fields: object) -> None:
    answer = server.put(
        snapshot(endpoint("binary", bundle, version=f"v{generation % 2}", **fields), generation=generation)
    )
    assert answer.status_code == 200, answer.text


def scores_of(server: Server, models: Workshop) -> list[float]:
    answer = server.http.post(PATH, json={"records": list(models.binary.records[:RECORDS])})
    return [prediction["score"] for prediction in answer.json()["predictions"]]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("dispatch", ["inline", "threads"])
def test_a_hundred_swaps_fail_no_request(serve: Serve, models: Workshop, dispatch: str) -> None:
    pair = (models.binary.bundle, models.successor.bundle)
    server = serve(endpoint("binary", pair[0], version="v0", dispatch=dispatch))
    known: dict[str, list[float]] = {}
    for generation in range(2, 2 + WARM_UP):
        swap(server, pair[generation % 2], generation, dispatch=dispatch)
        known[f"v{generation % 2}"] = scores_of(server, models)
    assert known["v0"] != known["v1"]
    until(lambda: settled_threads(server).count("engine-binary") == 1, "the threads of old variants end")
    memory, threads = server.processes.memory_mb(), settled_threads(server)
    generation = 2 + WARM_UP
    with Traffic(server.address, bodies(models), connections=4) as traffic:
        for _ in range(SWAPS):
            traffic.wait_for(10)
            swap(server, pair[generation % 2], generation, dispatch=dispatch)
            generation += 1
        traffic.wait_for(100)
    assert traffic.statuses() == {200: len(traffic.exchanges)}
    versions = set()
    for exchange in traffic.exchanges:
        assert exchange.answer is not None
        told = exchange.answer.json()
        versions.add(told["version"])
        assert told["predictions"][0]["score"] == known[told["version"]][exchange.request]
    assert versions == {"v0", "v1"}
    # The list before may hold an engine thread that had not ended yet, but never too few.
    until(lambda: settled_threads(server).count("engine-binary") == 1, "the threads of old variants end")
    assert len(settled_threads(server)) <= len(threads)
    assert server.processes.memory_mb() < memory + GROWTH_MB
    assert server.metrics().total("fairlead_snapshot_generation") == generation - 1


def settled_threads(server: Server) -> list[str]:
    """Return the threads but those of the blocking pool, which come and go with snapshots."""
    return [name for name in server.processes.threads() if name != "control"]


@pytest.mark.timeout(60)
def test_swaps_of_python_models_fail_no_request(serve: Serve, models: Workshop) -> None:
    def moody(generation: int) -> bytes:
        return snapshot(
            endpoint("moody", models.moody.bundle, version=f"v{generation}", deadline_ms=20_000), generation=generation
        ).canonical_json()

    server = serve(endpoint("moody", models.moody.bundle, deadline_ms=20_000))
    record = {"amount": 21.0, "wish": 0.0, "gate": 0.0}
    body = request("/v1/endpoints/moody:predict", json.dumps({"records": [record]}).encode())
    with Traffic(server.address, [body], connections=4) as traffic:
        for generation in range(2, 8):
            traffic.wait_for(20)
            assert server.admin.put("/snapshot", content=moody(generation)).status_code == 200
        traffic.wait_for(20)
    assert traffic.statuses() == {200: len(traffic.exchanges)}
    answers = [exchange.answer.json() for exchange in traffic.exchanges if exchange.answer is not None]
    assert {answer["predictions"][0]["score"] for answer in answers} == {42.0}
    until(lambda: len(server.processes.descendants().living()) == 2, "the workers of old variants end")


@pytest.mark.timeout(60)
def test_a_swap_that_is_refused_under_load_fails_no_request(serve: Serve, models: Workshop, tmp_path: Path) -> None:
    server = serve(endpoint("binary", models.binary.bundle, version="v0"))
    with Traffic(server.address, bodies(models), connections=4) as traffic:
        for generation in range(2, 22):
            traffic.wait_for(5)
            answer = server.put(snapshot(endpoint("binary", tmp_path / "absent"), generation=generation))
            assert answer.json()["code"] == "bundle_missing"
    assert traffic.statuses() == {200: len(traffic.exchanges)}
    assert server.state()["generation"] == 1


@pytest.mark.timeout(60)
def test_an_endpoint_that_is_taken_away_ends_cleanly(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle))
    with Traffic(server.address, bodies(models), connections=4) as traffic:
        traffic.wait_for(50)
        assert server.put(snapshot(generation=2)).status_code == 200
        traffic.wait_for(50)
    codes = {exchange.answer.json().get("code") for exchange in traffic.exchanges if exchange.answer is not None}
    assert codes == {None, "unknown_endpoint"}
    assert set(traffic.statuses()) == {200, 404}
