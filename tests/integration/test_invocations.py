"""`/invocations` goes the way of every prediction: unit, variant, validation, log, counters, and its ids."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.schema.snapshot import Endpoint, Role, Routing
from fairlead.store.log import PredictionLog
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint, variant


def rollout(models: Workshop) -> Endpoint:
    champion = endpoint("binary", models.binary.bundle, unit_key="card", durability="acknowledged")
    challenger = variant(models.successor.bundle, "2", Role.CHALLENGER)
    routing = Routing(salt="s", epoch=1, challenger="2", share=0.5)
    return champion.model_copy(update={"variants": [*champion.variants, challenger], "routing": routing})


def logged(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = PredictionLog(server.log).read("SELECT * FROM predictions ORDER BY id").to_pylist()
    return found


def test_each_row_is_answered_by_the_variant_of_its_unit(serve: Serve, models: Workshop) -> None:
    server = serve(rollout(models))
    records = [{**record, "card": f"c{number}"} for number, record in enumerate(models.binary.records[:40])]
    asked = {"dataframe_records": records, "params": {"predictions": "full", "id": "order"}}
    scored = server.http.post("/invocations", json=asked)
    rows = scored.json()["predictions"]
    named = server.http.post("/v1/endpoints/binary:predict", json={"records": records}).json()
    by_unit = {row.get("variant", named["variant"]) for row in named["predictions"]}
    assert by_unit == {"champion", "challenger"}
    assert [row["variant"] for row in rows] == [row.get("variant", named["variant"]) for row in named["predictions"]]
    assert [row["score"] for row in rows] == [row["score"] for row in named["predictions"]]
    first = rows[0]["variant"]
    other = ({"champion", "challenger"} - {first}).pop()
    assert scored.headers["fairlead-variant"] == f"{first}, {other}"
    versions = {"champion": "1", "challenger": "2"}
    assert scored.headers["fairlead-version"] == f"{versions[first]}, {versions[other]}"
    assert scored.headers["fairlead-prediction-id"] == rows[0]["prediction_id"]
    assert server.stop() == 0
    ids = {row["id"]: row for row in logged(server) if row["request_id"] == "order"}
    assert set(ids) == {row["prediction_id"] for row in rows}
    for row, record in zip(rows, records, strict=True):
        found = ids[row["prediction_id"]]
        assert (found["unit"], found["variant"], found["score"]) == (
            record["card"],
            row["variant"],
            pytest.approx(row["score"], abs=1e-7),
        )


@pytest.mark.parametrize("form", ["header", "params", "column", "csv"])
def test_a_unit_may_be_named_in_every_way(serve: Serve, models: Workshop, form: str) -> None:
    server = serve(rollout(models))
    columns, row = zip(*((k, v) for k, v in models.binary.records[1].items() if v is not None), strict=True)
    told = set()
    for unit in (f"u{number}" for number in range(12)):
        split: dict[str, Any] = {"columns": [*columns], "data": [[*row]]}
        body: dict[str, Any] = {"dataframe_split": split}
        headers = {"content-type": "application/json"}
        if form == "header":
            headers["fairlead-unit"] = unit
        elif form == "params":
            body["params"] = {"unit": unit}
        else:
            split["columns"].append("card")
            split["data"][0].append(unit)
        if form == "csv":
            lines = [",".join(map(str, line)) for line in (split["columns"], split["data"][0])]
            headers["content-type"] = "text/csv"
            answer = server.http.post("/invocations", content="\n".join(lines), headers=headers)
        else:
            answer = server.http.post("/invocations", json=body, headers=headers)
        record = {**dict(zip(columns, row, strict=True)), "card": unit}
        named = server.http.post("/v1/endpoints/binary:predict", json={"records": [record]}).json()
        assert answer.headers["fairlead-variant"] == named["variant"]
        told.add(named["variant"])
    assert told == {"champion", "challenger"}


def test_a_tester_names_the_variant(serve: Serve, models: Workshop) -> None:
    server = serve(rollout(models))
    body = {"instances": [{**models.binary.records[1], "card": "a"}]}
    for role in ("champion", "challenger"):
        answer = server.http.post("/invocations", json=body, headers={"fairlead-variant": role})
        assert answer.headers["fairlead-variant"] == role


def test_what_is_wanted_of_a_row_is_said_in_the_query_or_the_body(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle))
    records = [dict(record) for record in models.binary.records[:5]]
    full = server.http.post("/v1/endpoints/binary:predict", json={"records": records}).json()["predictions"]

    def ask(query: str = "", **params: str) -> list[Any]:
        answer = server.http.post(f"/invocations{query}", json={"instances": records, "params": params})
        assert answer.status_code == 200, answer.text
        predictions: list[Any] = answer.json()["predictions"]
        return predictions

    scores, labels = ([row[name] for row in full] for name in ("score", "decision"))
    assert ask() == ask("?predictions=decision") == labels
    assert (
        ask("?predictions=score")
        == ask(predictions="score")
        == ask("?predictions=full&x", predictions="score")
        == scores
    )
    assert [set(row) for row in ask("?predictions=full")] == [{"prediction_id", "score", "decision"}] * 5


def test_outputs_are_given_where_the_model_decides_nothing(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("moody", models.moody.bundle))
    record = dict(models.moody.records[1])
    answer = server.http.post("/invocations", json={"instances": [record, record]})
    named = server.http.post("/v1/endpoints/moody:predict", json={"records": [record]}).json()["predictions"][0]
    wanted = named["score"] if "score" in named else next(iter(named["outputs"].values()))
    assert answer.json()["predictions"] == [wanted, wanted]


def test_of_several_endpoints_one_is_named_or_is_the_default(serve: Serve, models: Workshop) -> None:
    body = {"instances": [dict(models.binary.records[1])]}
    two = serve(endpoint("fraud", models.binary.bundle), endpoint("risk", models.successor.bundle))
    answer = two.http.post("/invocations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_endpoint")
    assert answer.json()["error_code"] == "ENDPOINT_NOT_FOUND"
    assert "fraud, risk: POST /v1/endpoints/NAME/invocations" in answer.json()["message"]
    score = {
        name: two.http.post(f"/v1/endpoints/{name}/invocations?predictions=score", json=body).json()
        for name in ("fraud", "risk")
    }
    assert score["fraud"] != score["risk"]
    assert two.metrics().total("fairlead_rejected_total", outcome="unknown_endpoint") == 1
    default = serve(endpoint("fraud", models.binary.bundle), endpoint("default", models.successor.bundle))
    assert default.http.post("/invocations?predictions=score", json=body).json() == score["risk"]


def test_an_invocation_is_counted_once_like_every_request(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle))
    body = {"instances": [dict(record) for record in models.binary.records[:7]]}
    assert server.http.post("/invocations", json=body).status_code == 200
    assert server.http.post("/invocations", json={"instances": [{"amount": "x"}]}).status_code == 422
    found = server.metrics()
    assert found.outcomes("binary") == {"ok": 1, "validation_failed": 1}
    assert found.total("fairlead_rows_total", endpoint="binary") == 7


def test_ping_says_whether_the_server_is_ready(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle))
    for path in ("/ping", "/health"):
        answer = server.http.get(path)
        assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "\n", "application/json")
    assert server.http.get("/version").text == server.http.get("/v2").json()["version"]
