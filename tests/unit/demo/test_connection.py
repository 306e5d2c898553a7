"""The traffic's own HTTP: answers in any pieces, one at a time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.demo.connection import Connection, Target, parse_head

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"a":"\r\n\r\n"}'
BODY = b'{"a":"\r\n\r\n"}'


@given(st.lists(st.integers(1, len(ANSWER) - 1), max_size=8))
def test_an_answer_may_come_in_any_pieces(cuts: list[int]) -> None:
    answers: list[tuple[int, bytes]] = []
    connection = Connection(lambda _, status, body, __: answers.append((status, body)), lambda why: None)
    edges = sorted({0, *cuts, len(ANSWER)})
    assert len(BODY) == 12
    for low, high in pairwise(edges):
        assert answers == []
        connection.data_received(ANSWER[low:high])
    assert answers == [(200, BODY)]


def test_answers_follow_each_other() -> None:
    answers: list[int] = []
    connection = Connection(lambda _, status, body, __: answers.append(status), lambda why: None)
    for _ in range(3):
        connection.data_received(ANSWER)
    assert answers == [200, 200, 200]


def test_a_head_without_length_is_refused() -> None:
    assert parse_head(b"HTTP/1.1 503 Service Unavailable\r\nx: y\r\ncontent-length: 7") == (503, 7)
    with pytest.raises(ValueError, match="content-length"):
        parse_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked")


def test_only_an_unexpected_end_is_told() -> None:
    told: list[str] = []
    connection = Connection(lambda *_: None, told.append)
    connection.connection_lost(None)
    assert len(told) == 1
    connection.close()
    connection.connection_lost(None)
    assert len(told) == 1


def test_a_request_names_its_length() -> None:
    request = Target("127.0.0.1", 80, "/p").request('{"a":"ç"}'.encode())
    head, body = request.split(b"\r\n\r\n")
    assert head.startswith(b"POST /p HTTP/1.1\r\n")
    assert f"content-length: {len(body)}".encode() in head
