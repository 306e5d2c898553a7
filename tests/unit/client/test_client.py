"""The client: what it sends, what it makes of answers, and that nothing foreign escapes it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from fairlead.client import Client
from fairlead.client.tensors import NUMPY_TYPES, decode, encode
from fairlead.errors import BadInputError, EndpointError
from fairlead.schema.signature import Datatype

PREDICTIONS = {
    "endpoint": "fraud",
    "version": "1",
    "variant": "champion",
    "bundle": "ab" * 32,
    "predictions": [{"prediction_id": "0190", "decision": "decline", "score": 0.93, "violations": []}],
}


def client(handler: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client("http://test", transport=httpx.MockTransport(handler))


def answers(status: int, body: Any, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _: httpx.Response(status, content=content, headers=headers)


@pytest.fixture
def seen() -> list[httpx.Request]:
    """The requests that `recording` got."""
    return []


@pytest.fixture
def recording(seen: list[httpx.Request]) -> Callable[[Any], Client]:
    """A client whose server answers 200 with the given body."""

    def make(body: Any) -> Client:
        def handler(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(200, json=body)

        return client(handler)

    return make


def test_predict_sends_records_and_gives_predictions(recording: Any, seen: list[httpx.Request]) -> None:
    records = [{"amount": np.float32(12.5), "count": np.int64(3), "country": "DE", "age": float("nan"), "new": None}]
    answer = recording(PREDICTIONS).predict("fraud", records, unit="card-7", request_id="r-1", timeout=0.25)
    [request] = seen
    assert (request.method, request.url.path) == ("POST", "/v1/endpoints/fraud:predict")
    assert json.loads(request.content) == {
        "id": "r-1",
        "records": [{"amount": 12.5, "count": 3, "country": "DE", "age": None, "new": None}],
    }
    assert request.headers["fairlead-timeout-ms"] == "250"
    assert request.headers["fairlead-unit"] == "card-7"
    assert request.extensions["timeout"]["read"] == 0.25
    assert (answer.endpoint, answer.variant, answer.bundle) == ("fraud", "champion", "ab" * 32)
    [prediction] = answer.predictions
    assert (prediction.decision, prediction.score, prediction.prediction_id) == ("decline", 0.93, "0190")


def test_a_model_that_decides_nothing_gives_outputs(recording: Any) -> None:
    rows = [{"prediction_id": "0190", "outputs": {"embedding": [0.5, 1.5]}}]
    [prediction] = recording(PREDICTIONS | {"predictions": rows}).predict("e", [{}]).predictions
    assert prediction.outputs == {"embedding": [0.5, 1.5]}
    assert (prediction.decision, prediction.score) == (None, None)


def test_what_a_newer_server_adds_is_left_out(recording: Any) -> None:
    rows = [{"prediction_id": "0190", "score": 0.5, "explanation": []}]
    [prediction] = recording(PREDICTIONS | {"predictions": rows, "region": "eu"}).predict("e", [{}]).predictions
    assert prediction.score == 0.5


def test_infer_sends_tensors_and_gives_arrays(recording: Any, seen: list[httpx.Request]) -> None:
    body = {
        "model_name": "fraud",
        "model_version": "7",
        "parameters": {"prediction_id": "0190"},
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [2], "data": [1, 0]},
            {"name": "p", "datatype": "FP32", "shape": [2, 2], "data": [0.5, 0.5, None, 1.0]},
            {"name": "why", "datatype": "BYTES", "shape": [2], "data": ["é", ""]},
        ],
    }
    inputs = {"x": np.array([[1, 2], [3, 4]], np.float32), "country": ["DE", "FR"]}
    answer = recording(body).infer("fraud", inputs, version="7", unit="u")
    [request] = seen
    assert request.url.path == "/v2/models/fraud/versions/7/infer"
    assert request.headers["fairlead-unit"] == "u"
    assert json.loads(request.content) == {
        "inputs": [
            {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1.0, 2.0, 3.0, 4.0]},
            {"name": "country", "datatype": "BYTES", "shape": [2], "data": ["DE", "FR"]},
        ]
    }
    assert answer.outputs["label"].dtype == np.int64
    np.testing.assert_array_equal(answer.outputs["p"], np.array([[0.5, 0.5], [np.nan, 1]], np.float32))
    assert answer.outputs["why"].tolist() == ["é", ""]
    assert (answer.model_version, answer.parameters["prediction_id"]) == ("7", "0190")


def test_names_are_quoted_in_paths(recording: Any, seen: list[httpx.Request]) -> None:
    recording({}).metadata("a/b c", version="1/2")
    assert seen[0].url.raw_path == b"/v2/models/a%2Fb%20c/versions/1%2F2"


def test_metadata_of_server_and_model(recording: Any, seen: list[httpx.Request]) -> None:
    assert recording({"name": "fairlead"}).metadata() == {"name": "fairlead"}
    assert seen[0].url.path == "/v2"


@pytest.mark.parametrize(("model", "path"), [(None, "/v2/health/ready"), ("fraud", "/v2/models/fraud/ready")])
def test_ready_is_what_the_server_says(model: str | None, path: str) -> None:
    for status, ready in ((200, True), (503, False)):

        def handler(request: httpx.Request, status: int = status) -> httpx.Response:
            assert request.url.path == path
            return httpx.Response(status, json={"ready": status == 200})

        assert client(handler).ready(model) is ready


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_a_server_that_is_not_there_is_not_ready(error: httpx.HTTPError) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    assert client(handler).ready() is False


def test_ready_of_an_unknown_model_is_an_error() -> None:
    unknown = answers(404, {"error": "no endpoint 'x'", "code": "unknown_endpoint"})
    with pytest.raises(EndpointError) as caught:
        client(unknown).ready("x")
    assert caught.value.code == "unknown_endpoint"


def test_an_error_answer_carries_code_status_details_and_when_to_retry() -> None:
    details = [{"row": 0, "field": "amount", "expected": "a number", "got": "'x'"}]
    body = {"error": "1 of 1 rows break the signature", "code": "validation_failed", "details": details}
    with pytest.raises(EndpointError, match="POST /v1/endpoints/fraud:predict: 1 of 1 rows") as caught:
        client(answers(422, body, **{"retry-after": "2"})).predict("fraud", [{"amount": "x"}])
    error = caught.value
    assert (error.code, error.status, list(error.details), error.retry_after) == (
        "validation_failed",
        422,
        details,
        2.0,
    )


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b"\xff\xfe", b'{"error": null}'])
def test_an_error_of_a_proxy_is_quoted(body: bytes) -> None:
    retry = {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}
    with pytest.raises(EndpointError, match="Bad Gateway") as caught:
        client(answers(502, body, **retry)).predict("fraud", [{}])
    assert (caught.value.code, caught.value.status, caught.value.retry_after) == ("unknown", 502, None)


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"predictions": 1}',
        json.dumps(PREDICTIONS | {"predictions": [{"nonsense": 1}]}).encode(),
        json.dumps(PREDICTIONS | {"predictions": [1]}).encode(),
    ],
)
def test_an_answer_that_is_no_prediction_is_an_error(body: bytes) -> None:
    with pytest.raises(EndpointError) as caught:
        client(answers(200, body)).predict("fraud", [{}])
    assert caught.value.code == "bad_answer"


@pytest.mark.parametrize(
    "output",
    [
        {},
        {"name": "p", "datatype": "FP8", "shape": [1], "data": [1]},
        {"name": "p", "datatype": "FP32", "shape": [3], "data": [1]},
        {"name": "p", "datatype": "INT8", "shape": [1], "data": ["x"]},
        {"name": "p", "datatype": "INT8", "shape": [1], "data": [None]},
        {"name": "p", "datatype": "INT8", "shape": ["x"], "data": [1]},
    ],
)
def test_an_answer_that_is_no_tensor_is_an_error(output: Any) -> None:
    with pytest.raises(EndpointError) as caught:
        client(answers(200, {"model_name": "m", "outputs": [output]})).infer("m", {"x": [1.0]})
    assert caught.value.code == "bad_answer"


def instances_of_httpx_exceptions() -> list[Exception]:
    request = httpx.Request("GET", "http://test")
    found: list[Exception] = []
    for _, kind in inspect.getmembers(httpx, inspect.isclass):
        if not issubclass(kind, Exception) or kind is httpx.HTTPStatusError:  # raised only by raise_for_status
            continue
        if kind in {httpx.StreamConsumed, httpx.StreamClosed, httpx.ResponseNotRead, httpx.RequestNotRead}:
            found.append(kind())
        elif issubclass(kind, httpx.RequestError):
            found.append(kind("x", request=request))
        elif kind is not httpx.CookieConflict:  # raised only by a look into cookies
            found.append(kind("x"))
    return found


@pytest.mark.parametrize("error", instances_of_httpx_exceptions(), ids=lambda error: type(error).__name__)
def test_every_exception_of_httpx_becomes_ours(error: Exception) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(EndpointError) as caught:
        client(handler).predict("fraud", [{}])
    assert caught.value.code == ("timeout" if isinstance(error, httpx.TimeoutException) else "unreachable")
    assert caught.value.status is None


def test_the_exceptions_of_httpx_were_found() -> None:
    assert len(instances_of_httpx_exceptions()) > 15


def test_an_address_that_is_none_is_bad_input() -> None:
    with pytest.raises(BadInputError, match="is not an address"):
        Client("http://[::1")


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"amount": float("inf")}], "record 0: 'amount' is inf"),
        ([{}, {"amount": np.float32("-inf")}], "record 1: 'amount' is -inf"),
        ([{"amount": object()}], "neither a number nor text"),
        ([{"amounts": [float("nan")]}], "cannot be written as JSON"),
    ],
)
def test_records_that_are_not_json_are_bad_input(records: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        client(answers(200, PREDICTIONS)).predict("fraud", records)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1 + 2j]), "complex128 has no datatype"),
        (np.array(["2026-01-01"], "datetime64[D]"), "has no datatype"),
        (1.0, "this is one value"),
        ([[1.0, 2.0], [3.0, float("nan")]], r"nan at \[1, 1\] is not JSON"),
        (np.array([b"\xff"], object), "is not text"),
        (np.array([1], object), "is not text"),
    ],
)
def test_arrays_that_are_no_tensors_are_bad_input(values: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=f"input 'x': .*{message}"):
        encode("x", values)


def test_the_datatypes_are_those_of_the_schema() -> None:
    assert set(NUMPY_TYPES) == {datatype.value for datatype in Datatype}


KINDS = [kind for kind in NUMPY_TYPES.values() if kind is not np.object_]


@given(
    st.sampled_from(KINDS).flatmap(
        lambda kind: npst.arrays(
            kind,
            npst.array_shapes(max_dims=3, max_side=4),
            elements=npst.from_dtype(np.dtype(kind), allow_nan=False, allow_infinity=False),
        )
    )
)
def test_arrays_come_back_bit_for_bit(array: Any) -> None:
    back = decode(json.loads(json.dumps(encode("x", array))))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@given(st.lists(st.text(), min_size=1))
def test_texts_come_back_as_they_were(texts: list[str]) -> None:
    assert decode(encode("x", np.array(texts, object))).tolist() == texts


def test_a_closed_client_says_so_as_ours() -> None:
    with client(answers(200, {})) as open_client:
        assert open_client.metadata() == {}
    with pytest.raises(BadInputError, match="the client is closed"):
        open_client.metadata()
