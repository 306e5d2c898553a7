"""The prediction log of a server: every answer is a row, with what it was asked and what it said."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from fairlead.store.log import PredictionLog
from tests.serverkit import oip
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint
from tests.serverkit.waiting import until


def rows(server: Server, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = PredictionLog(server.log).read(sql).to_pylist()
    return found


def predict(server: Server, name: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = server.http.post(f"/v1/endpoints/{name}:predict", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize("durability", ["acknowledged", "buffered"])
def test_every_answer_is_a_row(serve: Serve, models: Workshop, durability: str) -> None:
    server = serve(endpoint("binary", models.binary.bundle, durability=durability, unit_key="card"))
    records = [{**record, "card": f"c{number}"} for number, record in enumerate(models.binary.records[:20])]
    told = predict(server, "binary", {"records": records, "id": "order 66"})
    assert server.stop() == 0
    logged = rows(server, "SELECT * FROM predictions ORDER BY row")
    assert [row["id"] for row in logged] == [row["prediction_id"] for row in told["predictions"]]
    assert [row["row"] for row in logged] == list(range(20))
    assert [row["unit"] for row in logged] == [record["card"] for record in records]
    assert {(row["endpoint"], row["version"], row["variant"], row["bundle"], row["request_id"]) for row in logged} == {
        ("binary", "1", "champion", models.binary.sha256, "order 66")
    }
    assert [row["score"] for row in logged] == pytest.approx([row["score"] for row in told["predictions"]], abs=1e-7)
    assert [row["decision"] for row in logged] == [str(row["decision"]) for row in told["predictions"]]
    for row, record in zip(logged, records, strict=True):
        assert row["features"] == {name: pytest.approx(record[name]) for name in row["features"]}
        assert row["latency_us"] > 0
        assert abs(row["time"].timestamp() - uuid.UUID(row["id"]).int / 2**80 / 1_000) < 1


def test_an_acknowledged_answer_is_in_the_log_at_once(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle, durability="acknowledged"))
    for record in models.binary.records[:10]:
        [told] = predict(server, "binary", {"records": [record]})["predictions"]
        assert {"id": told["prediction_id"]} in rows(server, "SELECT id FROM predictions")


def test_a_buffered_answer_is_in_the_log_soon(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle, durability="buffered"))
    [told] = predict(server, "binary", {"records": [models.binary.records[0]]})["predictions"]
    until(
        lambda: {"id": told["prediction_id"]} in rows(server, "SELECT id FROM predictions"),
        "the row is there",
        seconds=5,
    )


def test_no_log_is_written_where_none_is_wanted(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle, durability="none"))
    predict(server, "binary", {"records": [models.binary.records[0]]})
    assert server.stop() == 0
    assert rows(server, "SELECT * FROM predictions") == []


def test_flagged_values_are_marked_in_their_rows(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle, validation="flag"))
    good = models.binary.records[0]
    predict(server, "binary", {"records": [good, {**good, "amount": -1e9}, {**good, "age": None, "colour": "red"}]})
    assert server.stop() == 0
    logged = rows(server, "SELECT violations FROM predictions ORDER BY row")
    assert [sorted(row["violations"]) for row in logged] == [
        [],
        ["amount:below_minimum"],
        ["age:missing", "colour:unknown_field"],
    ]


def test_refused_requests_leave_no_row(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle), endpoint("lookup", models.lookup.bundle))
    for body in ('{"records": [{"amount": "much"}]}', '{"records": []}'):
        assert server.http.post("/v1/endpoints/binary:predict", content=body).status_code >= 400
    failing = oip.body(oip.tensor("index", "INT64", [1_000]))
    assert server.http.post("/v2/models/lookup/infer", content=failing).status_code == 500
    assert server.stop() == 0
    assert rows(server, "SELECT * FROM predictions") == []


def test_raw_tensors_of_every_type_are_logged(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("types", models.types.bundle), endpoint("strings", models.strings.bundle))
    samples: dict[str, Any] = {"BOOL": [[True, False]], "BYTES": [["a", "å"]]}
    inputs = [oip.tensor(name.lower(), name, samples.get(name, [[1, 2]])) for name in oip.NUMPY]
    assert server.http.post("/v2/models/types/infer", content=oip.body(*inputs)).status_code == 200
    wide = oip.tensor("text", "BYTES", [["a", "b", "c"]])
    assert server.http.post("/v2/models/strings/infer", content=oip.body(wide)).status_code == 200
    assert server.stop() == 0
    [row] = rows(server, "SELECT * FROM endpoint.types")
    # What comes in may be any bytes, images as well; what a model says is text.
    given = {tensor["name"]: tensor["data"] for tensor in inputs} | {"bytes": [b"a", "å".encode()]}
    assert row["features"] == given
    texts = {"bytes_out": ["a", "å"]}
    assert row["outputs"] == {f"{name}_out": data for name, data in given.items()} | texts
    [row] = rows(server, "SELECT * FROM endpoint.strings")
    assert row["features"] == {"text": [b"a", b"b", b"c"]}


def test_the_log_of_two_runs_is_one(serve: Serve, models: Workshop, tmp_path: Path) -> None:
    log = tmp_path / "log"
    told = []
    for _ in range(2):
        server = serve(endpoint("binary", models.binary.bundle), arguments=["--log", str(log)])
        told += predict(server, "binary", {"records": list(models.binary.records[:5])})["predictions"]
        assert server.stop() == 0
    logged = PredictionLog(log).read("SELECT id FROM predictions").column("id").to_pylist()
    assert sorted(logged) == sorted(row["prediction_id"] for row in told)
