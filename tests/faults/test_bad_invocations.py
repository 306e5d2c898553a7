"""Scoring requests that are wrong: each gets a status, both codes and a message that names what and where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint

GOOD = {"amount": 10.0, "age": 30.0, "income": 5.0, "visits": 3.0}
PATH = "/v1/endpoints/binary/invocations"
JSON = "application/json"
CSV = "text/csv"


@pytest.fixture(scope="module")
def server(serve_module: Serve, models: Workshop) -> Server:
    return serve_module(
        endpoint("binary", models.binary.bundle),
        endpoint("flagging", models.binary.bundle, validation="flag"),
        endpoint("lookup", models.lookup.bundle),
    )


@pytest.fixture(autouse=True)
def still_right(server: Server, models: Workshop) -> Any:
    """The server answers as before, whatever a test has sent."""
    yield
    answer = server.http.post(f"{PATH}?predictions=score", json={"instances": [GOOD]})
    assert answer.json()["predictions"] == pytest.approx(models.binary.scores([GOOD]), abs=1e-6)


def refused(
    server: Server, content: bytes | str, kind: str, wanted: tuple[int, str, str], *named: str
) -> dict[str, Any]:
    answer = server.http.post(PATH, content=content, headers={"content-type": kind})
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["code"], told["error_code"]) == wanted, told
    assert [name for name in named if name not in told["message"]] == [], told["message"]
    return told


MALFORMED = (400, "malformed_request", "BAD_REQUEST")
SHAPE = (400, "wrong_shape", "BAD_REQUEST")


@pytest.mark.parametrize(
    ("body", "wanted", "named"),
    [
        ("", MALFORMED, "byte 0"),
        ("[1]", MALFORMED, "byte 0"),
        ("{}", MALFORMED, "dataframe_split"),
        ('{"records": [{}]}', MALFORMED, "exactly one of"),
        ('{"inputs": [{}], "instances": [{}]}', MALFORMED, "`inputs` and `instances`"),
        ('{"inputs": [{}], "inputs": [{}]}', MALFORMED, "`inputs` is there twice"),
        ('{"inputs": []}', SHAPE, "at least one row"),
        ('{"inputs": [3]}', MALFORMED, "byte 12"),
        ('{"inputs": [[1, 2]]}', SHAPE, "row 0 has 2 values, expected 4"),
        ('{"inputs": {"age": [1, 2], "visits": [1]}}', SHAPE, "column `visits` has 1 values where `age` has 2"),
        ('{"dataframe_split": {"columns": ["age", "age"], "data": []}}', MALFORMED, "column `age` is there twice"),
        ('{"dataframe_split": {"columns": ["age"], "data": [[1], [1, 2]]}}', SHAPE, "row 1 has 2 values, expected 1"),
        ('{"dataframe_split": {"columns": ["age"], "data": [{"age": 1}]}}', MALFORMED, "expected an array"),
        ('{"dataframe_split": {"columns": ["age"], "data": [[1]], "dtypes": 1}}', MALFORMED, "got `dtypes`"),
        ('{"instances": [{"age": nan}]}', MALFORMED, "byte"),
        ('{"instances": [{"age": 1, "age": 2}]}', MALFORMED, "`age` is there twice"),
        ('{"instances": [{}], "params": {"temperature": 1}}', MALFORMED, "unknown param `temperature`"),
        ('{"instances": [{}], "params": {"predictions": "all"}}', MALFORMED, "`decision`, `score` or `full`"),
        ('{"instances": [{}], "params": 3}', MALFORMED, "byte 30"),
    ],
)
def test_json_that_is_none_of_the_forms(server: Server, body: str, wanted: tuple[int, str, str], named: str) -> None:
    refused(server, body, JSON, wanted, named)


@pytest.mark.parametrize(
    ("body", "wanted", "named"),
    [
        (b"", MALFORMED, "no header"),
        (b"amount,age\n", SHAPE, "at least one row"),
        (b"amount,age\n1\n", SHAPE, "line 2: 1 cells, the header has 2"),
        (b"amount,age\n1,2\n1,2,3\n", SHAPE, "line 3: 3 cells"),
        (b"age,age\n1,2\n", MALFORMED, "column `age` is there twice"),
        (b'age\n"1\n', MALFORMED, "line 2"),
        (b'age\n"1"2\n', MALFORMED, "line 2"),
        (b"age\n\xff\n", MALFORMED, "byte 4"),
    ],
)
def test_csv_that_is_none(server: Server, body: bytes, wanted: tuple[int, str, str], named: str) -> None:
    refused(server, body, CSV, wanted, named)


def test_values_that_break_the_signature_are_all_named(server: Server) -> None:
    wanted = (422, "validation_failed", "INVALID_PARAMETER_VALUE")
    split: dict[str, list[Any]] = {
        "columns": ["amount", "age", "visits", "colour"],
        "data": [[10, 30, 3, "red"], ["much", -1e9, None, None]],
    }
    told = refused(server, json.dumps({"dataframe_split": split}), JSON, wanted, "row 1", "amount")
    named = {(detail["row"], detail["field"]) for detail in told["details"]}
    assert named == {(0, "colour"), (1, "colour"), (1, "amount"), (1, "age"), (1, "visits")}
    columns = {name: [row[at] for row in split["data"]] for at, name in enumerate(split["columns"])}
    by_column = refused(server, json.dumps({"inputs": columns}), JSON, wanted)
    assert sorted(map(str, by_column["details"])) == sorted(map(str, told["details"]))
    told = refused(server, "amount,age,visits\n10,inf,3\nmuch,30,\n", CSV, wanted)
    assert {(detail["row"], detail["field"], detail["got"]) for detail in told["details"]} == {
        (0, "age", "inf"),
        (1, "amount", "much"),
        (1, "visits", "null"),
    }


def test_an_endpoint_that_flags_answers_and_marks(server: Server) -> None:
    body = {"instances": [{**GOOD, "colour": "red"}], "params": {"predictions": "full"}}
    [row] = server.http.post("/v1/endpoints/flagging/invocations", json=body).json()["predictions"]
    assert [violation["field"] for violation in row["violations"]] == ["colour"]


def test_limits_are_the_same_as_everywhere(server: Server) -> None:
    rows = json.dumps({"inputs": {"age": [1] * 1_000_000}})
    refused(server, rows, JSON, (413, "too_many_rows", "BAD_REQUEST"))
    refused(server, "age\n" + "1\n" * 1_000_000, CSV, (413, "too_many_rows", "BAD_REQUEST"))
    refused(server, b" " * (100 * 1024 * 1024), JSON, (413, "body_too_large", "BAD_REQUEST"))
    refused(server, '{"inputs": ' + "[" * 100_000, JSON, MALFORMED, "nested")
    long = json.dumps({"inputs": {"x" * 100_000: ["y" * 100_000]}, "params": {"z" * 100_000: 1}})
    assert len(server.http.post(PATH, content=long).content) < 2_000


def test_a_query_that_says_nothing_known_is_named(server: Server) -> None:
    answer = server.http.post(f"{PATH}?predictions=proba", json={"instances": [GOOD]})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert "got proba" in answer.json()["message"]


def test_unknown_endpoints_methods_and_raw_models_are_told_in_mlflows_words(server: Server) -> None:
    answer = server.http.post("/v1/endpoints/absent/invocations", json={"instances": [GOOD]})
    assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    answer = server.http.get(PATH)
    assert (answer.status_code, answer.headers["allow"], answer.json()["code"]) == (405, "POST", "method_not_allowed")
    answer = server.http.post("/v1/endpoints/lookup/invocations", json={"inputs": [[1]]})
    assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
    assert "/v2/models/NAME/infer" in answer.json()["message"]
