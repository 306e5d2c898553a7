"""kill -9 under full load: what the log has acknowledged is there, twenty times out of twenty."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead.store.log import PredictionLog
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.snapshots import endpoint
from tests.serverkit.traffic import Traffic
from tests.serverkit.waiting import until
from tests.serverkit.wire import request

PATH = "/v1/endpoints/binary:predict"
KILLS = 20
CONNECTIONS = 8
ROWS = (1, 1, 1, 7, 40)
ENOUGH = 60


def ids(log: Path) -> list[str]:
    found: list[str] = PredictionLog(log).read("SELECT id FROM predictions").column("id").to_pylist()
    return found


def received(traffic: Traffic) -> list[str]:
    answers = [exchange.answer for exchange in traffic.exchanges if exchange.answer is not None]
    assert {answer.status for answer in answers} == {200}
    return [row["prediction_id"] for answer in answers for row in answer.json()["predictions"]]


@pytest.mark.timeout(120)
def test_every_acknowledged_prediction_survives(serve: Serve, models: Workshop, tmp_path: Path) -> None:
    log = tmp_path / "log"
    records = list(models.binary.records)
    bodies = [request(PATH, json.dumps({"records": records[:rows]}).encode()) for rows in ROWS]
    promised: set[str] = set()
    for number in range(KILLS):
        server = serve(
            endpoint("binary", models.binary.bundle, durability="acknowledged"), arguments=["--log", str(log)]
        )
        with Traffic(server.address, bodies, connections=CONNECTIONS) as traffic:
            traffic.wait_for(ENOUGH + 7 * number)
            server.kill()
        told = received(traffic)
        assert len(told) >= ENOUGH
        assert set(told) <= set(ids(log)), f"kill {number}"
        promised |= set(told)
    # Another start recovers the torn segments; nothing that was whole is lost by it, and nothing is there twice.
    server = serve(endpoint("binary", models.binary.bundle, durability="acknowledged"), arguments=["--log", str(log)])
    assert server.stop() == 0
    logged = ids(log)
    assert promised <= set(logged)
    assert len(logged) == len(set(logged))
    assert list(log.rglob("*.open")) == []


@pytest.mark.timeout(60)
def test_a_buffered_log_loses_no_more_than_its_last_moment(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle, durability="buffered"))
    body = request(PATH, json.dumps({"records": [models.binary.records[0]]}).encode())
    with Traffic(server.address, [body], connections=2) as traffic:
        traffic.wait_for(200)
    early = set(received(traffic))
    until(lambda: early <= set(ids(server.log)), "what was answered a flush ago is in the log", seconds=5)
    server.kill()
    assert early <= set(ids(server.log))


@pytest.mark.timeout(60)
def test_answers_after_a_crash_are_those_before_it(serve: Serve, models: Workshop, tmp_path: Path) -> None:
    arguments = ["--log", str(tmp_path / "log"), "--state", str(tmp_path / "state")]
    row = {"records": [models.binary.records[0]]}
    scores = []
    for _ in range(3):
        server = serve(endpoint("binary", models.binary.bundle, durability="acknowledged"), arguments=arguments)
        scores.append(server.http.post(PATH, json=row).json()["predictions"][0]["score"])
        server.kill()
    assert len(set(scores)) == 1
