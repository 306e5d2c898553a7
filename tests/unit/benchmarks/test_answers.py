"""Wrong answers end a measurement: by value, by shape, by status, and however few they are."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.harness.answers import TOLERANCE, WrongAnswersError, largest_difference
from benchmarks.harness.load import Aim

ROWS = 40
Reply = Callable[[float], tuple[int, bytes]]


@contextmanager
def server(reply: Reply) -> Iterator[int]:
    """A server that answers each body, a number, with `reply` of it; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, body = reply(float(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Listener(http.server.ThreadingHTTPServer):
        request_queue_size = 64  # all connections of the comparison come at once

    with Listener(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield listening.server_address[1]
        finally:
            listening.shutdown()
            thread.join()


def ask(reply: Reply, folder: Path, rows: int = ROWS) -> float:
    bodies = folder / "bodies.jsonl"
    bodies.write_text("".join(f"{i}\n" for i in range(ROWS)))
    expected: list[NDArray[np.float32]] = [np.asarray([i], dtype=np.float32) for i in range(rows)]
    with server(reply) as port:
        return largest_difference(Aim(port, "/infer", bodies), expected, lambda answer: list(answer["scores"]))


def scores(*values: float) -> tuple[int, bytes]:
    return 200, json.dumps({"scores": values}).encode()


def test_equal_answers_differ_by_nothing(tmp_path: Path) -> None:
    assert ask(scores, tmp_path) == 0


def test_the_largest_difference_of_all_bodies_is_told(tmp_path: Path) -> None:
    off = TOLERANCE / 2
    assert ask(lambda x: scores(x + off if x == 17 else x), tmp_path) == pytest.approx(off, rel=1e-3)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (lambda x: scores(x + 10 * TOLERANCE if x == 17 else x), "differ from onnxruntime"),
        (lambda x: scores(x, x) if x == 17 else scores(x), "scores instead of"),
        (lambda x: scores(float("nan")) if x == 17 else scores(x), "scores instead of"),
        (lambda x: (503, b"full") if x == 17 else scores(x), "answered 503"),
        (lambda x: (200, b"no json") if x == 17 else scores(x), "not the answer of this model"),
        (lambda x: (200, b"{}") if x == 17 else scores(x), "not the answer of this model"),
    ],
    ids=["value", "shape", "not a number", "status", "not json", "no scores"],
)
def test_one_wrong_answer_among_many_is_found(reply: Reply, why: str, tmp_path: Path) -> None:
    with pytest.raises(WrongAnswersError, match=why):
        ask(reply, tmp_path)


def test_as_many_answers_as_bodies_must_be_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="40 bodies but 39 expected"):
        ask(scores, tmp_path, rows=ROWS - 1)
