"""The OpenAPI document: valid by the standard's own validator, and true."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from fairlead.bundle import open_bundle
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint

FUZZ = settings(max_examples=150)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


@pytest.fixture(scope="module")
def server(serve_module: Serve, models: Workshop) -> Server:
    return serve_module(
        endpoint("pipeline", models.pipeline.bundle),
        endpoint("binary", models.binary.bundle),
        endpoint("simple", models.simple.bundle),
        endpoint("types", models.types.bundle),
        endpoint("strings", models.strings.bundle),
        endpoint("default", models.pipeline.bundle),
    )


@pytest.fixture(scope="module")
def document(server: Server) -> dict[str, Any]:
    answer: dict[str, Any] = server.http.get("/openapi.json").json()
    return answer


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def body_schema(operation: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = operation["requestBody"]["content"]["application/json"]["schema"]
    return schema


@pytest.mark.timeout(120)  # the validator takes its time over every schema
def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_the_page_shows_the_document_and_loads_nothing_from_elsewhere(server: Server) -> None:
    page = server.http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "openapi.json" in page.text
    assert "https://" not in page.text
    assert "//cdn" not in page.text


def test_every_path_is_there_and_takes_its_method(server: Server, document: dict[str, Any]) -> None:
    answered = {
        (path, method): server.http.request(method.upper(), path).json()["code"]
        if method == "post"
        else server.http.request(method.upper(), path).status_code
        for path, method, _ in operations(document)
    }
    assert set(answered.values()) == {200, "malformed_request"}, answered


def test_every_answer_is_of_a_kind_that_is_described(server: Server, document: dict[str, Any]) -> None:
    kinds = {}
    for path, method, operation in operations(document):
        if method == "get":
            kind = server.http.get(path).headers["content-type"].partition(";")[0]
            kinds[path] = (kind, sorted(operation["responses"]["200"]["content"]))
    assert {path: kind in described for path, (kind, described) in kinds.items()} == dict.fromkeys(kinds, True), kinds


@pytest.mark.parametrize("name", ["pipeline", "binary"])
def test_a_record_is_described_as_the_signature_has_it(document: dict[str, Any], models: Workshop, name: str) -> None:
    operation = document["paths"][f"/v1/endpoints/{name}:predict"]["post"]
    record = body_schema(operation)["properties"]["records"]["items"]
    features = open_bundle(getattr(models, name).bundle).signature.features
    assert record["required"] == [feature.name for feature in features if not feature.nullable]
    for feature in features:
        described = record["properties"][feature.name]
        kinds = {"float": "number", "string": "string"}[feature.type]
        assert described["type"] == ([kinds, "null"] if feature.nullable else kinds)
        assert (described.get("minimum"), described.get("maximum")) == (feature.minimum, feature.maximum)
        assert described.get("enum") == feature.categories


def test_invocations_are_there_for_models_of_records_and_for_the_default(document: dict[str, Any]) -> None:
    paths = {path for path in document["paths"] if path.endswith("/invocations")}
    assert paths == {
        "/invocations",
        *(f"/v1/endpoints/{name}/invocations" for name in ("binary", "pipeline", "default")),
    }


def resolved(document: dict[str, Any], operation: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The parameters of an operation by place and name."""
    found = {}
    for reference in operation.get("parameters", []):
        parameter = document["components"]["parameters"][reference["$ref"].rpartition("/")[2]]
        found[parameter["in"], parameter["name"].lower()] = parameter
    return found


def test_headers_of_a_prediction_are_described_and_understood(server: Server, document: dict[str, Any]) -> None:
    headers = {("header", name) for name in ("fairlead-unit", "fairlead-variant", "fairlead-timeout-ms")}
    for path, method, operation in operations(document):
        wanted = headers if method == "post" else set()
        if path.endswith("/invocations"):
            wanted = headers | {("query", "predictions")}
            example = body_schema(operation)["example"]
            answer = server.http.post(path, json=example, headers={"fairlead-timeout-ms": "1000", "fairlead-unit": "a"})
            described = operation["responses"]["200"]["headers"]
            told = {name for name in answer.headers if name.startswith("fairlead-")}
            assert told == {name.lower() for name in described}
            assert answer.headers["fairlead-variant"] == "champion"
        assert set(resolved(document, operation)) == wanted, path
        if method == "post":
            answer = server.http.post(path, content=b"{}", headers={"fairlead-timeout-ms": "soon"})
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
            assert "fairlead-timeout-ms" in answer.text


def test_errors_are_as_they_are_described(server: Server, document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if method == "post":
            content = operation["responses"]["default"]["content"]["application/json"]["schema"]["$ref"]
            schema = document["components"]["schemas"][content.rpartition("/")[2]]
            told = server.http.post(path, content=b"[").json()
            assert set(schema["required"]) <= set(told) <= set(schema["properties"]), path


def test_examples_are_answered(server: Server, document: dict[str, Any]) -> None:
    refused = {}
    for path, method, operation in operations(document):
        if method == "post" and path.endswith(("/infer", "/invocations")):
            answer = server.http.post(path, json=body_schema(operation)["example"])
            if answer.status_code != 200:
                refused[path] = answer.text
    assert refused == {}


def post(server: Server, path: str, content: bytes) -> None:
    answer = server.http.post(path, content=content)
    assert answer.status_code < 500 or answer.json()["code"] == "unsupported", (content, answer.text)
    if answer.status_code != 200:
        message = "message" if path.endswith("/invocations") else "error"
        assert set(answer.json()) <= {message, "code", "details", "error_code"}
        assert answer.json()[message]


PREDICT = "/v1/endpoints/pipeline:predict"
FIELDS = st.sampled_from(["amount", "age", "country", "x", ""])
SCORE = "/v1/endpoints/pipeline/invocations"
INFER = ("/v2/models/types/infer", "/v2/models/binary/infer", "/v2/models/strings/infer")


@FUZZ
@given(value=ANYTHING)
def test_no_json_makes_the_server_fail(server: Server, value: Any) -> None:
    for path in (PREDICT, SCORE, *INFER):
        post(server, path, json.dumps(value).encode())


@FUZZ
@given(content=st.binary(max_size=200))
def test_no_bytes_make_the_server_fail(server: Server, content: bytes) -> None:
    for path in (PREDICT, SCORE, *INFER):
        post(server, path, content)


@FUZZ
@given(
    records=st.lists(
        st.dictionaries(st.sampled_from(["amount", "age", "country", "x", ""]), ANYTHING, max_size=5), max_size=4
    )
)
def test_no_record_makes_the_server_fail(server: Server, records: list[dict[str, Any]]) -> None:
    post(server, PREDICT, json.dumps({"records": records}).encode())


@FUZZ
@given(
    form=st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs"]),
    rows=st.lists(st.dictionaries(FIELDS, ANYTHING, max_size=5) | st.lists(ANYTHING, max_size=4), max_size=4)
    | st.dictionaries(
        FIELDS | st.sampled_from(["columns", "data", "index"]), st.lists(ANYTHING, max_size=4), max_size=4
    ),
    params=ANYTHING,
)
def test_no_invocation_makes_the_server_fail(server: Server, form: str, rows: Any, params: Any) -> None:
    post(server, SCORE, json.dumps({form: rows, "params": params}).encode())


@FUZZ
@given(data=st.data())
def test_no_change_of_a_good_request_makes_the_server_fail(server: Server, document: dict[str, Any], data: Any) -> None:
    path = data.draw(st.sampled_from(INFER))
    request = copy.deepcopy(body_schema(document["paths"][path]["post"])["example"])
    tensor = data.draw(st.sampled_from(request["inputs"]))
    member = data.draw(st.sampled_from(["name", "shape", "datatype", "data", "parameters"]))
    tensor[member] = data.draw(ANYTHING | st.lists(SCALARS, max_size=40))
    request |= data.draw(
        st.dictionaries(st.sampled_from(["id", "parameters", "outputs", "inputs"]), ANYTHING, max_size=1)
    )
    post(server, path, json.dumps(request).encode())
