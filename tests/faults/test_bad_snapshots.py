"""Documents put to administration that are none: refused whole, naming the place, and the last good one stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint, snapshot

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def server(serve_module: Serve, models: Workshop) -> Server:
    return serve_module(endpoint("binary", models.binary.bundle))


def document(models: Workshop, generation: int = 9) -> dict[str, Any]:
    return snapshot(endpoint("binary", models.binary.bundle), generation=generation).model_dump(mode="json")


def first(path: str, value: Any) -> Change:
    """Set a member of the first endpoint; `path` may lead inside."""

    def change(whole: dict[str, Any]) -> None:
        *inner, last = path.split(".")
        place: Any = whole["endpoints"][0]
        for step in inner:
            place = place[int(step) if step.isdecimal() else step]
        place[last] = value

    return change


CHANGES: dict[str, tuple[Change, str]] = {
    "an unknown version of the schema": (lambda whole: whole.update(schema_version=2), "schema_version"),
    "no generation": (lambda whole: whole.pop("generation"), "generation"),
    "a negative generation": (lambda whole: whole.update(generation=-1), "-1"),
    "an unknown member": (lambda whole: whole.update(surprise=1), "surprise"),
    "a name twice": (lambda whole: whole["endpoints"].append(whole["endpoints"][0]), "binary"),
    "a name that no path can have": (first("name", "a b"), "endpoints[0].name"),
    "no champion": (first("variants.0.role", "shadow"), "champion"),
    "a role that is none": (first("variants.0.role", "king"), "king"),
    "a bad sha256": (first("variants.0.bundle.sha256", "abc"), "sha256"),
    "no path": (first("variants.0.bundle.path", ""), "path"),
    "no rows in a batch": (first("batching.max_rows", 0), "max_rows"),
    "no queue": (first("batching.queue_rows", 0), "queue_rows"),
    "a deadline of more than an hour": (first("deadline_ms", 3_600_001), "deadline_ms"),
    "too many instances": (first("engine.instances", 1_000), "instances"),
    "a fraction of a worker": (first("engine.workers", 0.5), "0.5"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_document_that_does_not_hold_together(server: Server, models: Workshop, case: str) -> None:
    change, named = CHANGES[case]
    whole = document(models)
    change(whole)
    refused(server, json.dumps(whole).encode(), 400, "snapshot_invalid", named)


NOTHING = ("empty", "torn", "array", "no_text", "null", "deep")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000], ids=NOTHING)
def test_what_is_no_document_at_all(server: Server, content: bytes) -> None:
    refused(server, content, 400, "snapshot_invalid", "line 1")


@pytest.mark.parametrize("generation", [0, 1])
def test_a_generation_that_is_not_newer(server: Server, models: Workshop, generation: int) -> None:
    content = json.dumps(document(models, generation)).encode()
    refused(server, content, 409, "snapshot_stale", f"generation {generation} is not newer than 1")


def test_a_document_of_no_end_is_refused(server: Server) -> None:
    refused(server, b" " * (65 * 1024 * 1024), 413, "body_too_large", "limit")


def refused(server: Server, content: bytes, status: int, code: str, named: str) -> None:
    before = server.metrics().total("fairlead_snapshots_total", outcome=code)
    answer = server.admin.put("/snapshot", content=content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert named in answer.json()["error"]
    assert server.state()["generation"] == 1
    assert server.http.get("/v2/health/ready").status_code == 200
    if code.startswith("snapshot"):
        assert server.metrics().total("fairlead_snapshots_total", outcome=code) == before + 1
