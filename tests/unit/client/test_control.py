"""The control plane's client: what it sends, and how answers become values or errors."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from fairlead.client import ControlClient
from fairlead.errors import BadInputError, ControlError

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, key: str | None = None) -> ControlClient:
    return ControlClient("http://control", key=key, transport=httpx.MockTransport(handler))


def test_a_call_has_the_prefix_the_key_and_only_parameters_that_are_given() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://control/api/v1/bundles?name=fraud"
        assert request.headers["authorization"] == "Bearer flk_x"
        return httpx.Response(200, json=[1])

    with client(answer, "flk_x") as control:
        assert control.get("/bundles", name="fraud", other=None) == [1]


def test_without_a_key_none_is_sent_and_an_empty_answer_is_none() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        return httpx.Response(204)

    with client(answer) as control:
        assert control.delete("/webhooks/1") is None


def test_a_refusal_is_an_error_with_everything_that_was_said() -> None:
    body = {"error": "no", "code": "move_refused", "hint": "do this", "details": [{"got": "x"}]}
    answer = httpx.Response(409, json=body, headers={"Retry-After": "2"})
    with client(lambda _: answer) as control, pytest.raises(ControlError) as caught:
        control.put("/x", {})
    error = caught.value
    assert (error.message, error.code, error.hint, error.details, error.retry_after, error.exit_code) == (
        "no",
        "move_refused",
        "do this",
        ({"got": "x"},),
        2.0,
        1,
    )


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"error": 1}'])
def test_nonsense_from_a_proxy_is_an_error_too(content: bytes) -> None:
    with client(lambda _: httpx.Response(502, content=content)) as control, pytest.raises(ControlError) as caught:
        control.post("/x", {})
    assert caught.value.code == "unreachable"


def test_no_answer_says_how_to_get_one() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with client(fail) as control, pytest.raises(ControlError, match="http://control") as caught:
        control.get("/x")
    assert caught.value.code == "unreachable"
    assert "fairlead up" in str(caught.value.hint)


def test_a_data_plane_is_recognised() -> None:
    answer = httpx.Response(404, json={"error": "no route GET /api/v1/x", "code": "unknown_route"})
    with client(lambda _: answer) as control, pytest.raises(ControlError, match="no route") as caught:
        control.get("/x")
    assert "a data plane" in str(caught.value.hint)


def test_what_is_no_address_is_wrong_input() -> None:
    with pytest.raises(BadInputError):
        ControlClient("http://127.0.0.1:port")


def test_a_bundle_is_sent_as_a_tar_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    files = {"manifest.json": b"{}", "code/a.py": b"x = 1"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    def answer(request: httpx.Request) -> httpx.Response:
        with tarfile.open(fileobj=io.BytesIO(request.read())) as archive:
            found = {one.name: archive.extractfile(one) for one in archive if one.isreg()}
            assert {name: file.read() for name, file in found.items() if file is not None} == files
        return httpx.Response(201, json={"sha256": "0"})

    with client(answer) as control:
        assert control.push(tmp_path) == {"sha256": "0"}


def test_a_folder_that_is_no_bundle_is_not_sent(tmp_path: Path) -> None:
    with client(lambda _: httpx.Response(500)) as control, pytest.raises(BadInputError, match=r"manifest\.json"):
        control.push(tmp_path)


def test_outcomes_are_sent_in_batches_and_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.client.control.OUTCOMES_AT_A_TIME", 2)
    bodies = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.raw_path == b"/api/v1/endpoints/a%20b/outcomes"
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json={"new": len(bodies[-1]["outcomes"]), "corrected": 1, "known": 0})

    rows = [{"prediction_id": str(number), "label": 1} for number in range(3)]
    with client(answer) as control:
        assert control.add_outcomes("a b", iter(rows), source="x") == {"new": 3, "corrected": 2, "known": 0}
        assert control.add_outcomes("a b", []) == {"new": 0, "corrected": 0, "known": 0}
        control.add_outcomes("a b", rows[:1])
    assert bodies == [
        {"outcomes": rows[:2], "source": "x"},
        {"outcomes": rows[2:], "source": "x"},
        {"outcomes": rows[:1]},
    ]
