"""kill -9 and power cuts under full load: what the log has acknowledged is there, every time."""

from __future__ import annotations

import json
import os
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
POWER_CUTS = 6
JOURNAL_PAGE = 4096


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


def journal_is_used(log: Path) -> bool:
    """Whether the journal has a record: its first page says how it is cut, records begin on the second."""
    for path in log.glob("*.journal"):
        with path.open("rb") as file:
            file.seek(JOURNAL_PAGE)
            return any(file.read(4))
    return False


def lose_unsynced_pages(log: Path, lengths: dict[Path, int]) -> int:
    """Cut each open segment back to the length that it had, and return how many bytes are lost."""
    lost = 0
    for path in log.rglob("*.arrow.open"):
        lost += path.stat().st_size - lengths.get(path, 0)
        os.truncate(path, lengths.get(path, 0))
    return lost


@pytest.mark.timeout(120)
def test_every_acknowledged_prediction_survives_a_power_cut(serve: Serve, models: Workshop, tmp_path: Path) -> None:
    log = tmp_path / "log"
    records = list(models.binary.records)
    bodies = [request(PATH, json.dumps({"records": records[:rows]}).encode()) for rows in ROWS]
    promised: set[str] = set()
    for number in range(POWER_CUTS):
        server = serve(
            endpoint("binary", models.binary.bundle, durability="acknowledged"), arguments=["--log", str(log)]
        )
        # A restart has put back what the power cut before took.
        assert promised <= set(ids(log)), f"power cut {number}"
        with Traffic(server.address, bodies, connections=CONNECTIONS) as traffic:
            until(lambda: journal_is_used(log), "commits go through the journal", seconds=20)
            lengths = {path: path.stat().st_size for path in log.rglob("*.arrow.open")}
            traffic.wait_for(ENOUGH + 7 * number)
            server.kill()
        promised |= set(received(traffic))
        assert lose_unsynced_pages(log, lengths) > 0
        assert not promised <= set(ids(log)), "the power cut has taken rows that were acknowledged"
    server = serve(endpoint("binary", models.binary.bundle, durability="acknowledged"), arguments=["--log", str(log)])
    assert promised <= set(ids(log))
    assert server.stop() == 0
    logged = ids(log)
    assert promised <= set(logged)
    assert len(logged) == len(set(logged))
    assert [path.name for path in log.iterdir()] == ["binary"], "a log that was closed has no journal"
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
