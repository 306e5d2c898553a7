"""API keys: each role may do what it says, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.cli import app
from tests.serverkit.bundles import small_bundle
from tests.serverkit.control import ControlPlane

ROLES = ("viewer", "operator", "approver", "admin")
REPORT = {"replica": "r", "incarnation": 1, "sequence": 1, "generation": 1, "time_us": 1}


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, repository: Path
) -> Iterator[tuple[ControlPlane, dict[str, str]]]:
    """A control plane with a key of each role; the first was made on its machine."""
    running = ControlPlane(tmp_path_factory.mktemp("guarded"))
    try:
        running.wait_until_serving()
        made = running.http.post("/keys", json={"name": "root", "role": "admin"})
        assert made.status_code == 201
        root = {"Authorization": f"Bearer {made.json()['key']}"}
        found = {"admin": made.json()["key"]}
        for role in ROLES[:3]:
            answer = running.http.post("/keys", json={"name": role, "role": role}, headers=root)
            found[role] = answer.json()["key"]
        yield running, found
        assert running.stop() == 0
    finally:
        running.kill()


Ask = Callable[[httpx.Client, str], httpx.Response]

NEEDS: dict[str, tuple[str, Ask]] = {
    "list": ("viewer", lambda http, _: http.get("/bundles")),
    "snapshot": ("viewer", lambda http, _: http.get("/snapshot")),
    "decisions": ("viewer", lambda http, _: http.get("/decisions")),
    "telemetry": ("operator", lambda http, _: http.post("/telemetry", json=REPORT)),
    "settings": ("operator", lambda http, _: http.put("/endpoints/keyed", json={})),
    "tag": ("operator", lambda http, sha: http.put(f"/bundles/{sha}/tags/a", json={"value": "b"})),
    "shadow": ("operator", lambda http, sha: http.put("/endpoints/keyed/roles/shadow", json={"sha256": sha})),
    "champion": ("approver", lambda http, sha: http.put("/endpoints/keyed/roles/champion", json={"sha256": sha})),
    "keys": ("admin", lambda http, _: http.get("/keys")),
    "webhooks": ("admin", lambda http, _: http.get("/webhooks")),
}


@pytest.mark.parametrize("what", NEEDS)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_it_says_and_nothing_more(
    guarded: tuple[ControlPlane, dict[str, str]], tmp_path: Path, role: str, what: str
) -> None:
    control, found = guarded
    with control.client(found["operator"]) as client:
        sha256 = client.push(small_bundle(tmp_path, "keyed"))["sha256"]
        client.put("/endpoints/keyed", {})
    needed, ask = NEEDS[what]
    headers = {"Authorization": f"Bearer {found[role]}"}
    with httpx.Client(base_url=f"{control.url}/api/v1", headers=headers, trust_env=False) as http:
        answer = ask(http, sha256)
    if ROLES.index(role) >= ROLES.index(needed):
        # What the rules of roles say comes after what the key may do.
        assert answer.status_code in {200, 409}, answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert needed in answer.json()["error"]


def test_once_there_is_a_key_nobody_comes_in_without(guarded: tuple[ControlPlane, dict[str, str]]) -> None:
    control, _ = guarded
    answer = control.http.get("/bundles")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert control.http.get("/health").status_code == 200


def test_a_revoked_key_is_refused_and_no_key_is_ever_shown(guarded: tuple[ControlPlane, dict[str, str]]) -> None:
    control, found = guarded
    with control.client(found["admin"]) as client:
        made = client.post("/keys", {"name": "short-lived", "role": "viewer"})
        listed = client.get("/keys")
        assert made["key"] not in str(listed)
        bearer = {"Authorization": f"Bearer {made['key']}"}
        assert control.http.get("/bundles", headers=bearer).status_code == 200
        client.delete("/keys/short-lived")
        assert control.http.get("/bundles", headers=bearer).status_code == 401
        log: list[Any] = client.get("/decisions", kind="key.revoked")
    assert [one["subject"] for one in log] == ["short-lived"]
    assert not any(secret in control.stderr() for secret in found.values())


def test_whoever_comes_from_outside_needs_a_key_which_is_made_beside_the_control_plane(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make = ["key", "create", "root", "--role", "admin", "--data-dir", str(tmp_path / "control" / "data")]
    running = ControlPlane(tmp_path / "control", "--host", "0.0.0.0")
    try:
        running.wait_until_serving()
        url = running.url.replace("0.0.0.0", "127.0.0.1")
        with httpx.Client(base_url=f"{url}/api/v1", trust_env=False) as http:
            assert http.get("/bundles").status_code == 401
            assert app.run(make) == 0
            bearer = {"Authorization": f"Bearer {capsys.readouterr().out.strip()}"}
            assert http.get("/bundles", headers=bearer).json() == []
            assert app.run(make) == 1
            out, err = capsys.readouterr()
            assert out == ""
            assert "root" in err
    finally:
        running.kill()
