"""The control plane's API, asked over HTTP, on both databases."""

from __future__ import annotations

import io
import itertools
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from fairlead.errors import ControlError
from fairlead.schema.snapshot import Snapshot
from tests.serverkit.bundles import sha256_of, signature, small_bundle
from tests.serverkit.control import ControlPlane

_NAMES = (f"e{number}" for number in itertools.count(1))


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return next(_NAMES)


def pushed(control: ControlPlane, tmp_path: Path, name: str, model: bytes = b"one", **fields: Any) -> str:
    folder = small_bundle(tmp_path / "bundles", name, model, **fields)
    with control.client() as client:
        record = client.push(folder)
    assert record["sha256"] == sha256_of(folder)
    return str(record["sha256"])


def assign(control: ControlPlane, name: str, role: str, sha256: str, **fields: Any) -> httpx.Response:
    return control.http.put(f"/endpoints/{name}/roles/{role}", json={"sha256": sha256, **fields})


def put(control: ControlPlane, name: str, **settings: Any) -> Any:
    answer = control.http.put(f"/endpoints/{name}", json=settings)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, code: str) -> Any:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert body["error"]
    return body


def roles(control: ControlPlane, name: str) -> dict[str, str]:
    return {one["version"]: one["role"] for one in control.get(f"/endpoints/{name}/roles")}


def test_a_pushed_bundle_is_listed_shown_and_kept_as_it_was(control: ControlPlane, tmp_path: Path, name: str) -> None:
    sha256 = pushed(control, tmp_path, name)
    [record] = control.get("/bundles", name=name)
    assert (record["version"], record["pushed_by"], record["engine"]) == (1, "local", "onnx")
    shown = control.get(f"/bundles/{sha256[:10]}")
    assert shown["record"] == record
    assert shown["documents"]["checks"]["parity"]["passed"]
    folder = next((tmp_path / "bundles").iterdir())
    for path in ("manifest.json", "DIGEST", "model.onnx", "signature.json"):
        answer = control.http.get(f"/bundles/{sha256}/files/{path}")
        assert answer.content == (folder / path).read_bytes()
    refused(control.http.get(f"/bundles/{sha256}/files/../state.db"), 404, "unknown_path")
    refused(control.http.get(f"/bundles/{sha256}/files/..%2F..%2Fstate.db"), 404, "file_unknown")


def test_pushing_again_changes_nothing(control: ControlPlane, tmp_path: Path, name: str) -> None:
    assert pushed(control, tmp_path, name) == pushed(control, tmp_path, name)
    assert [one["version"] for one in control.get("/bundles", name=name)] == [1]
    pushed(control, tmp_path, name, b"two")
    assert [one["version"] for one in control.get("/bundles", name=name)] == [1, 2]


def test_many_pushes_at_once_get_versions_of_their_own(control: ControlPlane, tmp_path: Path, name: str) -> None:
    folders = [small_bundle(tmp_path, name, str(number).encode()) for number in range(6)]

    def push(folder: Path) -> None:
        with control.client() as client:
            assert client.push(folder)["sha256"] == sha256_of(folder)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(push, folders * 2))
    assert [one["version"] for one in control.get("/bundles", name=name)] == [1, 2, 3, 4, 5, 6]


def test_a_broken_bundle_is_refused_and_named(control: ControlPlane, tmp_path: Path, name: str) -> None:
    folder = small_bundle(tmp_path, name)
    (folder / "model.onnx").write_bytes(b"a lodel")
    with control.client() as client, pytest.raises(ControlError, match=r"model\.onnx") as caught:
        client.push(folder)
    assert caught.value.code == "bundle_refused"
    assert control.get("/bundles", name=name) == []


def archive(**members: tarfile.TarInfo) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for member in members.values():
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return content.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, 1 if kind == tarfile.REGTYPE else 0, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no archive at all" * 100,
        archive(a=member("../escaped")),
        archive(a=member("/tmp/escaped")),
        archive(a=member("link", tarfile.SYMTYPE)),
        archive(a=member("hard", tarfile.LNKTYPE)),
        archive(a=member("device", tarfile.CHRTYPE)),
        archive(a=member("twice"), b=member("twice")),
        archive(a=member("file"), b=member("file/inside")),
    ],
)
def test_what_is_no_bundle_is_refused(control: ControlPlane, body: bytes) -> None:
    refused(control.http.post("/bundles", content=body), 400, "bundle_refused")


def test_the_life_of_roles(control: ControlPlane, tmp_path: Path, name: str) -> None:
    first, second, third = (pushed(control, tmp_path, name, model) for model in (b"1", b"2", b"3"))
    put(control, name)
    refused(assign(control, name, "challenger", second), 409, "move_refused")
    assert assign(control, name, "champion", first, reason="start").status_code == 200
    assert assign(control, name, "challenger", second).status_code == 200
    before = control.get("/snapshot")["generation"]
    assert assign(control, name, "challenger", second).json() == []
    assert control.get("/snapshot")["generation"] == before
    assert assign(control, name, "challenger", third).status_code == 200
    assert roles(control, name) == {"1": "champion", "2": "archived", "3": "challenger"}
    refused(assign(control, name, "archived", first), 409, "move_refused")
    moves = assign(control, name, "champion", third, reason="better").json()
    assert [(one["version"], one["from_role"], one["to_role"]) for one in moves] == [
        ("3", "challenger", "champion"),
        ("1", "champion", "archived"),
    ]
    assert assign(control, name, "shadow", second).status_code == 200
    endpoint = next(one for one in control.get("/snapshot")["endpoints"] if one["name"] == name)
    assert [(one["role"], one["version"]) for one in endpoint["variants"]] == [("champion", "3"), ("shadow", "2")]
    for variant in endpoint["variants"]:
        assert (Path(variant["bundle"]["path"]) / "DIGEST").read_text().strip() == variant["bundle"]["sha256"]
    assert assign(control, name, "champion", first, reason="back").status_code == 200
    assert roles(control, name) == {"1": "champion", "2": "shadow", "3": "archived"}


def test_who_was_champion_at_a_time(control: ControlPlane, tmp_path: Path, name: str) -> None:
    first, second = pushed(control, tmp_path, name, b"1"), pushed(control, tmp_path, name, b"2")
    put(control, name)
    refused(control.http.get(f"/endpoints/{name}/roles/champion"), 404, "role_vacant")
    assign(control, name, "champion", first)
    [then] = control.get(f"/endpoints/{name}/history")
    while True:  # the clock of SQLite ticks in milliseconds
        assign(control, name, "champion", second)
        now = control.get(f"/endpoints/{name}/history")[0]
        if now["at_us"] > then["at_us"]:
            break
        assign(control, name, "champion", first)
    path = f"/endpoints/{name}/roles/champion"
    assert control.get(path)["sha256"] == second
    assert control.get(path, at=now["at_us"])["sha256"] == second
    assert control.get(path, at=then["at_us"])["sha256"] == first
    refused(control.http.get(path, params={"at": "1999-01-01T00:00:00+01:00"}), 404, "role_vacant")
    assert control.get(path, at="2999-01-01")["sha256"] == second
    refused(control.http.get(path, params={"at": "soon"}), 422, "invalid_request")


def test_a_challenger_of_another_signature_is_refused_with_reasons(
    control: ControlPlane, tmp_path: Path, name: str
) -> None:
    champion = pushed(control, tmp_path, name, b"1")
    other = pushed(control, tmp_path, name, b"2", wanted=signature("amount", "age", labels=("no", "yes")))
    put(control, name)
    assign(control, name, "champion", champion)
    for role in ("challenger", "shadow", "champion"):
        body = refused(assign(control, name, role, other), 409, "signature_incompatible")
        told = " ".join(one["got"] for one in body["details"])
        assert "feature 'age' is new" in told
        assert "['no', 'yes'], not [0, 1]" in told
    refused(assign(control, name, "challenger", other, allow_incompatible=True), 409, "signature_incompatible")
    assign(control, name, "challenger", pushed(control, tmp_path, name, b"3"))
    assign(control, name, "shadow", pushed(control, tmp_path, name, b"4"))
    assert assign(control, name, "champion", other, allow_incompatible=True).status_code == 200
    assert roles(control, name) == {"1": "archived", "2": "champion", "3": "archived", "4": "archived"}
    [decision] = control.get("/decisions", endpoint=name, kind="role.assigned", limit=1)
    assert decision["evidence"]["incompatibilities"]


def test_a_bundle_that_would_be_unpickled_gets_no_role_unless_replicas_may(
    control: ControlPlane, tmp_path: Path, name: str
) -> None:
    sha256 = pushed(control, tmp_path, name, requires_trust=True)
    put(control, name)
    refused(assign(control, name, "champion", sha256), 409, "move_refused")


def test_the_difference_of_two_bundles(control: ControlPlane, tmp_path: Path, name: str) -> None:
    first = pushed(control, tmp_path, name, b"1")
    second = pushed(control, tmp_path, name, b"2", mean=12.0, wanted=signature(threshold=0.7))
    found = control.get(f"/bundles/{first}/diff/{second}")
    assert found["compatible"]
    assert found["signature"] == [{"field": "decision.threshold", "first": 0.5, "second": 0.7}]
    assert found["profile"] == [{"field": "features.amount.mean", "first": 10.0, "second": 12.0}]
    assert found["checks"] == []


def test_tags(control: ControlPlane, tmp_path: Path, name: str) -> None:
    sha256 = pushed(control, tmp_path, name)
    path = f"/bundles/{sha256}/tags"
    assert control.http.put(f"{path}/ticket", json={"value": "R-1"}).json()["tags"] == {"ticket": "R-1"}
    assert control.http.put(f"{path}/ticket", json={"value": "R-2"}).json()["tags"] == {"ticket": "R-2"}
    assert control.http.delete(f"{path}/ticket").json()["tags"] == {}
    assert control.http.delete(f"{path}/ticket").json()["tags"] == {}
    refused(control.http.put(f"{path}/.", json={"value": "x"}), 404, "unknown_path")
    changes = [one for one in control.get("/decisions", kind="bundle.tagged") if one["subject"] == sha256]
    assert [(one["evidence"]["before"], one["evidence"]["after"]) for one in changes] == [
        ("R-2", None),
        ("R-1", "R-2"),
        (None, "R-1"),
    ]


def test_settings_reach_the_snapshot_and_only_changes_make_a_generation(
    control: ControlPlane, tmp_path: Path, name: str
) -> None:
    put(control, name, unit_key="card")
    before = control.get("/snapshot")
    assert name not in [one["name"] for one in before["endpoints"]]
    assign(control, name, "champion", pushed(control, tmp_path, name))
    put(control, name, unit_key="card", batching={"max_rows": 7})
    after = control.get("/snapshot")
    endpoint = next(one for one in after["endpoints"] if one["name"] == name)
    assert (endpoint["unit_key"], endpoint["batching"]["max_rows"]) == ("card", 7)
    put(control, name, unit_key="card", batching={"max_rows": 7})
    assert control.get("/snapshot")["generation"] == after["generation"] == before["generation"] + 2
    Snapshot.model_validate(after)


def test_a_long_poll_is_answered_as_soon_as_there_is_something_new(
    control: ControlPlane, tmp_path: Path, name: str
) -> None:
    sha256 = pushed(control, tmp_path, name)
    put(control, name)
    generation = control.get("/snapshot")["generation"]
    answers: list[httpx.Response] = []

    def poll() -> None:
        with httpx.Client(base_url=f"{control.url}/api/v1", trust_env=False, timeout=30.0) as client:
            answers.append(client.get("/snapshot", params={"after": generation, "wait": 20, "region": "eu"}))

    threads = [threading.Thread(target=poll) for _ in range(30)]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    assign(control, name, "champion", sha256)
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 10
    assert [answer.status_code for answer in answers] == [200] * 30
    assert {answer.json()["generation"] for answer in answers} == {generation + 1}
    assert {answer.headers["fairlead-generation"] for answer in answers} == {str(generation + 1)}


def test_a_long_poll_without_news_ends_in_time(control: ControlPlane) -> None:
    generation = control.get("/snapshot")["generation"]
    started = time.monotonic()
    answer = control.http.get("/snapshot", params={"after": generation, "wait": 0.5})
    assert (answer.status_code, answer.content) == (204, b"")
    assert 0.4 < time.monotonic() - started < 5


def report(replica: str, sequence: int, requests: int, incarnation: int = 1) -> dict[str, Any]:
    arm = {"version": "1", "role": "champion", "epoch": 0, "requests": requests}
    endpoint = {"name": replica, "arms": [arm], "shadows": []}
    own = {"replica": replica, "incarnation": incarnation, "sequence": sequence, "generation": 4, "region": "eu"}
    return {**own, "time_us": 1, "endpoints": [endpoint]}


def test_telemetry_adds_up_whatever_comes_twice(control: ControlPlane, name: str) -> None:
    reports = [report(name, 1, 10), report(name, 2, 15), report(name, 1, 10), report(name, 2, 15)]
    reports.append(report(name, 0, 7, incarnation=2))
    accepted = [control.http.post("/telemetry", json=one).json()["accepted"] for one in reports]
    assert accepted == [True, True, False, False, True]
    found = next(one for one in control.get("/telemetry") if one["name"] == name)
    assert [arm["requests"] for arm in found["arms"]] == [22]
    [replica] = [one for one in control.get("/replicas") if one["replica"] == name]
    assert (replica["generation"], replica["region"], replica["incarnation"]) == (4, "eu", 2)
    assert replica["stale"] is False


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nothing", None, 404, "unknown_path"),
        ("DELETE", "/bundles", None, 405, "wrong_method"),
        ("GET", f"/bundles/{'0' * 64}", None, 404, "bundle_unknown"),
        ("GET", "/bundles/000000", None, 404, "bundle_unknown"),
        ("GET", "/bundles/xyz", None, 422, "invalid_request"),
        ("GET", "/endpoints/nobody", None, 404, "endpoint_unknown"),
        ("GET", "/endpoints/nobody/history", None, 404, "endpoint_unknown"),
        ("PUT", "/endpoints/a%20b", {}, 422, "invalid_request"),
        ("PUT", "/endpoints/nobody", {"nonsense": 1}, 422, "invalid_request"),
        ("PUT", "/endpoints/nobody/roles/king", {"sha256": "0" * 64}, 422, "invalid_request"),
        ("PUT", "/endpoints/nobody/roles/champion", {"sha256": "0" * 64}, 404, "endpoint_unknown"),
        ("GET", "/snapshot?wait=1000", None, 422, "invalid_request"),
        ("POST", "/telemetry", {"replica": "x"}, 422, "invalid_request"),
        ("DELETE", "/keys/nobody", None, 404, "key_unknown"),
        ("POST", "/keys", {"name": "local", "role": "viewer"}, 409, "name_taken"),
        ("POST", "/webhooks", {"url": "ftp://x"}, 422, "invalid_request"),
        ("DELETE", "/webhooks/99", None, 404, "webhook_unknown"),
        ("GET", "/webhooks/99/deliveries", None, 404, "webhook_unknown"),
    ],
)
def test_errors_have_the_house_shape(
    control: ControlPlane, method: str, path: str, body: Any, status: int, code: str
) -> None:
    refused(control.http.request(method, path, json=body), status, code)


def test_the_api_describes_itself(control: ControlPlane) -> None:
    document = httpx.get(f"{control.url}/api/openapi.json", trust_env=False).json()
    validate(document)
    wanted = {"bundles", "endpoints", "roles", "webhooks", "keys", "decisions", "replicas", "snapshot", "telemetry"}
    assert wanted <= {tag for path in document["paths"].values() for one in path.values() for tag in one["tags"]}


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Authorization": "Bearer flk_wrong"}]
)
def test_without_keys_only_programs_on_this_machine_are_let_in(control: ControlPlane, headers: dict[str, str]) -> None:
    refused(control.http.get("/bundles", headers=headers), 401, "unauthenticated")
