"""Requests that are wrong: each gets a status, a code and a message that names what and where, and the server lives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.serverkit import oip
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint
from tests.serverkit.wire import Wire, head

GOOD = {"amount": 10.0, "age": 30.0, "income": 5.0, "visits": 3.0}
INFER = "/v2/models/binary/infer"
PREDICT = "/v1/endpoints/binary:predict"
MANY = 1_000_000
HUNDRED_MB = 100 * 1024 * 1024


@pytest.fixture(scope="module")
def server(serve_module: Serve, models: Workshop) -> Server:
    return serve_module(
        endpoint("binary", models.binary.bundle),
        endpoint("pipeline", models.pipeline.bundle),
        endpoint("types", models.types.bundle),
        endpoint("strings", models.strings.bundle),
        endpoint("lookup", models.lookup.bundle),
    )


@pytest.fixture(autouse=True)
def still_right(server: Server, models: Workshop) -> Any:
    """The server answers as before, whatever a test has sent."""
    wanted = server.http.post(PREDICT, json={"records": [GOOD]}).json()["predictions"][0]["score"]
    assert wanted == pytest.approx(models.binary.scores([GOOD])[0], abs=1e-6)
    yield
    answer = server.http.post(PREDICT, json={"records": [GOOD]})
    assert answer.json()["predictions"][0]["score"] == wanted
    assert server.http.get("/v2/health/ready").status_code == 200


def refused(server: Server, path: str, content: bytes, status: int, code: str, *named: str) -> dict[str, Any]:
    answer = server.http.post(path, content=content)
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["code"]) == (status, code), told
    missing = [name for name in named if name not in told["error"]]
    assert missing == [], told["error"]
    return told


def tensor(data: str = "[1, 2, 3, 4]", shape: str = "[1, 4]", datatype: str = '"FP32"', name: str = '"input"') -> bytes:
    return f'{{"inputs": [{{"name": {name}, "datatype": {datatype}, "shape": {shape}, "data": {data}}}]}}'.encode()


# A name that begins with @ stands for the place of what follows it.
MALFORMED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "byte 0"),
    "white space": (b" \n", "byte 2"),
    "an end too early": (tensor()[:-1], f"byte {len(tensor()) - 1}"),
    "something behind": (tensor() + b"x", f"byte {len(tensor())}"),
    "no object": (b"[1]", "byte 0"),
    "no inputs": (b"{}", "inputs"),
    "inputs of another kind": (b'{"inputs": 3}', "byte 11"),
    "NaN": (tensor("[1, 2, NaN, 4]"), "@NaN"),
    "Infinity": (tensor("[1, 2, Infinity, 4]"), "@Infinity"),
    "-Infinity": (tensor("[1, 2, -Infinity, 4]"), "@Infinity"),
    "a text for a number": (tensor('[1, "2", 3, 4]'), '@"2"'),
    "a number that is none": (tensor("[1, 02, 3, 4]"), "@02"),
    "a comma too many": (tensor("[1, 2, 3, 4,]"), "byte"),
    "a member twice": (b'{"inputs": [], "inputs": []}', "inputs"),
    "an input twice": (b'{"inputs": [%b, %b]}' % ((tensor()[12:-2],) * 2), "input"),
    "no name": (b'{"inputs": [{"datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}', "name"),
    "no data": (b'{"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 4]}]}', "data"),
    "no datatype": (b'{"inputs": [{"name": "input", "shape": [1, 4], "data": [1, 2, 3, 4]}]}', "datatype"),
    "no shape": (b'{"inputs": [{"name": "input", "datatype": "FP32", "data": [1, 2, 3, 4]}]}', "shape"),
    "a lone surrogate": (b'{"id": "\\ud800", "inputs": []}', "byte"),
    "a control character": (b'{"id": "a\nb", "inputs": []}', "byte"),
    "an escape that is none": (b'{"id": "\\x", "inputs": []}', "byte"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_not_the_json_that_is_wanted(server: Server, case: str) -> None:
    content, named = MALFORMED[case]
    if named.startswith("@"):
        named = f"byte {content.index(named[1:].encode())}:"
    refused(server, INFER, content, 400, "malformed_request", named)


@pytest.mark.parametrize("place", [b'"id"', b'"a"', b'"inputs"', b'"input"', b'"FP32"'])
def test_invalid_utf8_is_found_wherever_it_stands(server: Server, place: bytes) -> None:
    good = b'{"id": "a", ' + tensor()[1:]
    assert good.count(place) == 1
    told = refused(server, INFER, good.replace(place, place[:-1] + b'\xff"'), 400, "malformed_request", "byte")
    assert "UTF-8" in told["error"]


def test_invalid_utf8_in_records(server: Server) -> None:
    refused(
        server,
        "/v1/endpoints/pipeline:predict",
        b'{"records": [{"country": "\xff"}]}',
        400,
        "malformed_request",
        "UTF-8",
    )


@pytest.mark.parametrize(
    ("shape", "data", "named"),
    [
        ("[1, 3]", "[1, 2, 3]", "expected shape [-1, 4], got [1, 3]"),
        ("[4]", "[1, 2, 3, 4]", "expected shape [-1, 4], got [4]"),
        ("[1, 4, 1]", "[1, 2, 3, 4]", "expected shape [-1, 4], got [1, 4, 1]"),
        ("[]", "[1, 2, 3, 4]", "expected shape [-1, 4], got []"),
        ("[2, 4]", "[1, 2, 3, 4]", "has 4 elements, the shape says 8"),
        ("[1, 4]", "[1, 2, 3, 4, 5]", "has 5 elements"),
        ("[1, 4]", "[[1, 2], [3, 4]]", "`data`"),
        ("[1, 4]", "[[[1, 2, 3, 4]]]", "nesting"),
        ("[-1, 4]", "[1, 2, 3, 4]", "dimension"),
        ("[1.5, 4]", "[1, 2, 3, 4]", "dimension"),
        ("[0, 4]", "[]", "at least one row"),
        ("[18446744073709551616, 4]", "[]", "dimension"),
    ],
)
def test_a_wrong_shape_is_named(server: Server, shape: str, data: str, named: str) -> None:
    refused(
        server, INFER, tensor(data, shape), 400, "wrong_shape", "`input`" if "dimension" not in named else "", named
    )


def test_a_shape_that_overflows_takes_no_memory(server: Server) -> None:
    before = server.processes.memory_mb()
    for rows in (2**31, 2**62, 2**63 - 1, 2**64 - 1):
        refused(server, INFER, tensor("[1]", f"[{rows}, 4]"), 413, "too_many_rows", str(rows))
    for width in (2**31, 2**62, 2**64 - 1):
        body = f'{{"inputs": [{{"name": "text", "datatype": "BYTES", "shape": [16384, {width}], "data": []}}]}}'
        refused(server, "/v2/models/strings/infer", body.encode(), 400, "wrong_shape", "too many elements")
    assert server.processes.memory_mb() < before + 50


@pytest.mark.parametrize("datatype", ["FP64", "INT64", "FP16", "fp32", "", "x" * 10_000])
def test_a_wrong_datatype_is_named(server: Server, datatype: str) -> None:
    told = refused(
        server, INFER, tensor(datatype=json.dumps(datatype)), 400, "wrong_datatype", "`input`", "expected datatype FP32"
    )
    assert len(told["error"]) < 500


def test_unknown_and_missing_inputs_and_outputs_are_named(server: Server) -> None:
    refused(server, INFER, tensor(name='"inputs"'), 400, "unknown_input", "`inputs`", "`input`")
    refused(server, INFER, b'{"inputs": []}', 400, "missing_input", "`input`")
    asked = tensor()[:-1] + b', "outputs": [{"name": "nothing"}]}'
    refused(server, INFER, asked, 400, "unknown_output", "`nothing`", "`probabilities`")


OUT_OF_RANGE = {
    "FP32": ["1e39", "-1e39", "1e400"],
    "FP64": ["1e309", "-1e309"],
    "INT8": ["128", "-129", "0.5"],
    "INT64": ["9223372036854775808", "1e30", "-9223372036854775809"],
    "UINT8": ["256", "-1"],
    "UINT64": ["18446744073709551616", "-1"],
    "BOOL": ["2", "-1"],
}


@pytest.mark.parametrize(
    ("datatype", "number"), [(d, number) for d, numbers in OUT_OF_RANGE.items() for number in numbers]
)
def test_a_number_that_its_type_cannot_hold_is_named(server: Server, datatype: str, number: str) -> None:
    samples: dict[str, Any] = {"BOOL": [[True, False]], "BYTES": [["a", "b"]]}
    inputs = [oip.tensor(name.lower(), name, samples.get(name, [[1, 2]])) for name in oip.NUMPY]
    for one in inputs:
        if one["datatype"] == datatype:
            one["data"] = ["@", one["data"][1]]
    body = json.dumps({"inputs": inputs}).replace('"@"', number).encode()
    name = datatype.lower()
    position = body.index(number.encode(), body.index(b'"data"', body.index(b'"%b"' % name.encode())))
    refused(server, "/v2/models/types/infer", body, 400, "value_out_of_range", f"`{name}`", number, f"byte {position}")


def test_a_null_that_a_model_of_raw_tensors_cannot_take_is_named(server: Server) -> None:
    body = b'{"inputs": [{"name": "index", "datatype": "INT64", "shape": [2], "data": [1, null]}]}'
    refused(server, "/v2/models/lookup/infer", body, 400, "malformed_request", "index", "element 1", "null")


def test_a_record_that_breaks_the_signature_has_every_field_named(server: Server) -> None:
    bad = {"amount": "much", "age": -1e9, "visits": 1e39, "colour": "red"}
    told = refused(server, PREDICT, json.dumps({"records": [GOOD, bad]}).encode(), 422, "validation_failed", "row 1")
    named = {detail["field"]: detail for detail in told["details"]}
    assert set(named) == {"amount", "age", "visits", "colour"}
    assert {detail["row"] for detail in told["details"]} == {1}
    assert named["amount"]["got"] == '"much"'
    assert named["colour"]["expected"] == "no such field"
    missing = refused(
        server, PREDICT, json.dumps({"records": [{"age": None}]}).encode(), 422, "validation_failed", "amount"
    )
    assert {detail["field"] for detail in missing["details"]} == {"amount", "age", "visits"}


def test_a_category_that_is_not_known_is_named(server: Server) -> None:
    body = json.dumps({"records": [{"amount": 1, "age": 30, "country": "XX"}]}).encode()
    told = refused(server, "/v1/endpoints/pipeline:predict", body, 422, "validation_failed", "country", "XX")
    assert told["details"] == [{"row": 0, "field": "country", "expected": "one of DE, DK, NO, SE", "got": "XX"}]


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        (b"{}", "malformed_request", "records"),
        (b'{"records": []}', "wrong_shape", "at least one row"),
        (b'{"records": {}}', "malformed_request", "byte"),
        (b'{"records": [1]}', "malformed_request", "byte"),
        (b'{"records": [{"age": NaN}]}', "malformed_request", "byte"),
        (b'{"records": [{"age": 1, "age": 2}]}', "malformed_request", "age"),
        (b'{"rows": []}', "malformed_request", "`rows`"),
        (b'{"records": [{}], "timeout_ms": -1}', "malformed_request", "byte"),
    ],
)
def test_records_that_are_none(server: Server, body: bytes, code: str, named: str) -> None:
    refused(server, PREDICT, body, 400, code, named)


def test_a_million_rows_are_too_many(server: Server) -> None:
    # The model's own datatype, in as few bytes as it can be said: the limit on rows must come before that on bytes.
    ones = b"[" + b"1," * (MANY * 4 - 1) + b"1]"
    body = tensor("[]", f"[{MANY}, 4]").replace(b"[]", ones)
    refused(server, INFER, body, 413, "too_many_rows", str(MANY), "16384")
    records = b'{"records": [' + b"{}," * (MANY - 1) + b"{}]}"
    refused(server, PREDICT, records, 413, "too_many_rows", "16384")


def test_a_model_that_fails_says_so_in_its_own_words(server: Server) -> None:
    refused(
        server,
        "/v2/models/lookup/infer",
        oip.body(oip.tensor("index", "INT64", [3, 99])),
        500,
        "model_failed",
        "indices",
    )


@pytest.mark.parametrize("depth", [1_000, 1_000_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused(server: Server, depth: int, opening: bytes) -> None:
    for start in (b"", b'{"later": ', b'{"inputs": [{"name": "input", "data": ', b'{"parameters": {"x": '):
        refused(server, INFER, start + opening * depth, 400, "malformed_request", "byte")
    refused(server, PREDICT, b'{"records": [{"amount": ' + opening * depth, 400, "malformed_request", "byte")
    data = tensor("@").replace(b"@", b"[" * depth)
    assert server.http.post(INFER, content=data).status_code == 400


def test_text_with_a_zero_byte_is_answered_or_refused_by_name(server: Server) -> None:
    # ONNX Runtime takes strings that end at a zero: such a text cannot be given to it whole.
    body = oip.body(oip.tensor("text", "BYTES", [["a", "b\0c"]]))
    answer = server.http.post("/v2/models/strings/infer", content=body)
    if answer.status_code == 200:
        assert oip.outputs(answer.json())["text_out"].tolist() == [["a", "b\0c"]]
    else:
        assert answer.status_code == 400, answer.text
        assert "text" in answer.json()["error"]


def send_piecemeal(server: Server, coded: bytes, piece: bytes, count: int) -> tuple[int, str]:
    """Send as much as the server takes; return its status and code, which it may say before the end."""
    with Wire(server.address) as wire:
        wire.send(coded)
        try:
            for _ in range(count):
                wire.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has said enough; its answer is waiting
        answer = wire.read()
    return answer.status, answer.json()["code"]


def test_a_body_of_100_mb_is_refused_by_its_announced_length(server: Server) -> None:
    before = server.processes.memory_mb()
    answer = server.http.post(INFER, content=b" " * HUNDRED_MB)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert str(HUNDRED_MB) in answer.json()["error"]
    assert server.processes.memory_mb() < before + 50


def test_a_body_of_100_mb_in_chunks_is_refused_at_the_limit(server: Server) -> None:
    before = server.processes.memory_mb()
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    coded = head(INFER, headers={"Transfer-Encoding": "chunked"})
    assert send_piecemeal(server, coded, piece, 100) == (413, "body_too_large")
    assert server.processes.memory_mb() < before + 150


def test_an_error_repeats_no_more_than_it_must(server: Server) -> None:
    long = "x" * 100_000
    bodies = [
        tensor(name=json.dumps(long)),
        tensor(datatype=json.dumps(long)),
        json.dumps({"inputs": [], "outputs": [{"name": long}]}).encode(),
        tensor(f"[{'9' * 100_000}, 2, 3, 4]"),
    ]
    for body in bodies:
        assert len(server.http.post(INFER, content=body).content) < 2_000
    records = [{"records": [{long: long}]}, {"records": [GOOD | {"amount": long}]}, {long: 1}]
    for record in records:
        assert len(server.http.post(PREDICT, json=record).content) < 2_000
