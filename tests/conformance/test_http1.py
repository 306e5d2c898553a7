"""HTTP/1.1 as clients of all manners speak it: raw bytes, and curl."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.serverkit import oip
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint
from tests.serverkit.wire import Answer, Wire, head, request

PATH = "/v2/models/doubling/infer"


@pytest.fixture(scope="module")
def server(serve_module: Serve, models: Workshop) -> Server:
    return serve_module(endpoint("doubling", models.doubling.bundle))


def body(value: float) -> bytes:
    return oip.body(oip.tensor("x", "FP32", [value]))


def twice(answer: Answer) -> list[float]:
    assert answer.status == 200, answer.body
    values: list[float] = answer.json()["outputs"][0]["data"]
    return values


def chunked(content: bytes, size: int) -> bytes:
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


def curl(server: Server, *arguments: str, path: str = PATH) -> tuple[str, bytes]:
    """Run curl; return what it says of the exchange (`status http_version`) and the body."""
    told = "%{stderr}%{http_code} %{http_version}"
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--write-out",
        told,
        *arguments,
        server.url + path,
    ]
    done = subprocess.run(command, capture_output=True, check=True)
    return done.stderr.decode(), done.stdout


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    values = [float(value) for value in range(50)]
    with Wire(server.address) as wire:
        wire.send(b"".join(request(PATH, body(value)) for value in values))
        assert [twice(wire.read()) for _ in values] == [[value * 2] for value in values]


def test_an_error_in_a_pipeline_does_not_disturb_its_neighbours(server: Server) -> None:
    with Wire(server.address) as wire:
        wire.send(request(PATH, body(1)) + request(PATH, b"{") + request("/nowhere") + request(PATH, body(2)))
        answers = [wire.read() for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 400, 404, 200]
    assert (twice(answers[0]), twice(answers[3])) == ([2.0], [4.0])


CLOSING = {"Connection": "close"}


@pytest.mark.parametrize(
    "behind", [request(PATH, body(3)), b"garbage\r\n\r\n", b""], ids=["request", "garbage", "nothing"]
)
def test_no_answer_is_lost_to_a_close(server: Server, behind: bytes) -> None:
    with Wire(server.address) as wire:
        wire.send(request(PATH, body(1)) + request(PATH, body(2), headers=CLOSING) + behind)
        assert [twice(wire.read()), twice(wire.read())] == [[2.0], [4.0]]
        assert wire.ended()


def test_no_answer_is_lost_to_what_follows_it(server: Server) -> None:
    with Wire(server.address) as wire:
        wire.send(request(PATH, body(1)) + b"garbage\r\n\r\n")
        assert twice(wire.read()) == [2.0]
        assert wire.read().status == 400
        assert wire.ended()


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_a_body_may_come_in_chunks(server: Server, size: int) -> None:
    with Wire(server.address) as wire:
        coded = head(PATH, headers={"Transfer-Encoding": "chunked"}) + chunked(body(3), size)
        assert twice(wire.ask(coded)) == [6.0]
        assert twice(wire.ask(request(PATH, body(4)))) == [8.0], "the connection goes on behind it"


def test_a_request_may_come_byte_by_byte(server: Server) -> None:
    with Wire(server.address) as wire:
        for byte in request(PATH, body(5)):
            wire.send(bytes([byte]))
        assert twice(wire.read()) == [10.0]


def test_who_expects_a_hundred_is_told_to_go_on(server: Server) -> None:
    content = body(6)
    with Wire(server.address) as wire:
        expecting = head(PATH, headers={"Content-Length": str(len(content)), "Expect": "100-continue"})
        assert wire.ask(expecting).status == 100
        assert twice(wire.ask(content)) == [12.0]


def test_a_body_that_nobody_wants_is_refused_before_it_is_sent(server: Server) -> None:
    announced = {"Content-Length": str(1 << 30), "Expect": "100-continue"}
    with Wire(server.address) as wire:
        answer = wire.ask(head(PATH, headers=announced))
    assert (answer.status, answer.json()["code"]) == (413, "body_too_large")


def test_http_1_0_is_answered_and_closed(server: Server) -> None:
    content = body(7)
    with Wire(server.address) as wire:
        wire.send(b"POST %b HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (PATH.encode(), len(content), content))
        assert twice(wire.read()) == [14.0]
        assert wire.ended()


def test_connection_close_is_obeyed(server: Server) -> None:
    with Wire(server.address) as wire:
        answer = wire.ask(request(PATH, body(8), headers={"Connection": "close"}))
        assert (twice(answer), answer.headers["connection"]) == ([16.0], "close")
        assert wire.ended()


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_compressed_body_is_refused_in_plain_words(server: Server, encoding: str) -> None:
    with Wire(server.address) as wire:
        answer = wire.ask(request(PATH, b"\x1f\x8b", headers={"Content-Encoding": encoding}))
    assert (answer.status, answer.json()["code"]) == (415, "unsupported_media_type")
    assert encoding in answer.json()["error"]


@pytest.mark.parametrize(
    ("arguments", "version"),
    [
        (["--http1.1"], "1.1"),
        (["--http1.0"], "1"),
        (["--http2-prior-knowledge"], "2"),
        (["--http1.1", "--header", "Transfer-Encoding: chunked"], "1.1"),
        (["--http1.1", "--header", "Expect: 100-continue"], "1.1"),
        (["--http2"], "1.1"),
    ],
    ids=["http1.1", "http1.0", "http2", "chunked", "expect", "upgrade"],
)
def test_curl(server: Server, arguments: Sequence[str], version: str) -> None:
    told, answered = curl(server, *arguments, "--data-binary", body(9).decode())
    assert told == f"200 {version}"
    assert json.loads(answered)["outputs"][0]["data"] == [18.0]


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_sends_a_large_body(server: Server, version: str, tmp_path: Path) -> None:
    rows = 16_384
    file = tmp_path / "body.json"
    file.write_bytes(oip.body(oip.tensor("x", "FP32", [1.5] * rows)))
    told, answered = curl(server, version, "--data-binary", f"@{file}")
    assert told.startswith("200 ")
    assert json.loads(answered)["outputs"][0]["data"] == [3.0] * rows


def test_curl_sees_the_head_only(server: Server) -> None:
    told, answered = curl(server, "--head", path="/v2")
    assert told == "200 1.1"
    assert b"content-type: application/json" in answered.lower()
