"""API keys: each role may do what it says, and nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.cli import app
from tests.serverkit.bundles import small_bundle
from tests.serverkit.control import ControlPlane

ROLES = ("viewer", "operator", "approver", "admin")
OUTCOMES = {
    "source": "desk",
    "outcomes": [{"prediction_id": "0190a6e2-6f3b-7c3e-8f5e-2b1d3c4e5f60", "label": 1}],
}
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
        for role in (*ROLES[:3], "replica"):
            answer = running.http.post("/keys", json={"name": role, "role": role}, headers=root)
            found[role] = answer.json()["key"]
        yield running, found
        assert running.stop() == 0
    finally:
        running.kill()


OPEN, REPLICA = "nobody", "replica"
Ask = tuple[str, str, Any, str]
"""Method, path, body, and the least role of those up to admin; or `OPEN`."""


def routes(sha256: str) -> dict[str, list[Ask]]:
    """Return for every route what to ask of it, and who may: a new route needs an entry here.

    Names are such that whoever may ask does no harm.
    """
    rollout = {
        "apiVersion": "fairlead.dev/v1",
        "kind": "Rollout",
        "metadata": {"name": "keyed-2"},
        "spec": {
            "endpoint": "nowhere",
            "challenger": {"version": "2"},
            "guardrails": [{"name": "errors", "kind": "rate"}],
            "strategy": {"canary": {"steps": [{"approve": {}}]}},
        },
    }
    commands = {"promote": "approver", "undo": "approver"}
    names = ("start", "pause", "resume", "promote", "abort", "undo", "approve")
    hook = {"url": "http://127.0.0.1:1/", "events": ["none"]}
    endpoint = "/endpoints/keyed"
    return {
        "GET /health": [("GET", "/health", None, OPEN)],
        "GET /bundles": [("GET", "/bundles", None, "viewer")],
        "POST /bundles": [("POST", "/bundles", None, "operator")],
        "GET /bundles/{digits}": [("GET", f"/bundles/{sha256}", None, "viewer")],
        "GET /bundles/{digits}/diff/{other}": [("GET", f"/bundles/{sha256}/diff/{sha256}", None, "viewer")],
        "GET /bundles/{digits}/files/{path}": [("GET", f"/bundles/{sha256}/files/manifest.json", None, "viewer")],
        "PUT /bundles/{digits}/tags/{key}": [("PUT", f"/bundles/{sha256}/tags/a", {"value": "b"}, "operator")],
        "DELETE /bundles/{digits}/tags/{key}": [("DELETE", f"/bundles/{sha256}/tags/a", None, "operator")],
        "GET /endpoints": [("GET", "/endpoints", None, "viewer")],
        "GET /endpoints/{name}": [("GET", endpoint, None, "viewer")],
        "PUT /endpoints/{name}": [("PUT", endpoint, {}, "operator")],
        "GET /endpoints/{name}/roles": [("GET", f"{endpoint}/roles", None, "viewer")],
        "GET /endpoints/{name}/roles/{role}": [("GET", f"{endpoint}/roles/champion", None, "viewer")],
        "PUT /endpoints/{name}/roles/{role}": [
            ("PUT", f"{endpoint}/roles/shadow", {"sha256": sha256}, "operator"),
            ("PUT", f"{endpoint}/roles/champion", {"sha256": sha256}, "approver"),
        ],
        "GET /endpoints/{name}/history": [("GET", f"{endpoint}/history", None, "viewer")],
        "GET /endpoints/{name}/outcomes": [("GET", f"{endpoint}/outcomes", None, "viewer")],
        "POST /endpoints/{name}/outcomes": [("POST", f"{endpoint}/outcomes", OUTCOMES, "operator")],
        "PUT /rollouts": [("PUT", "/rollouts", rollout, "operator")],
        "GET /rollouts": [("GET", "/rollouts", None, "viewer")],
        "POST /rollouts/plan": [("POST", "/rollouts/plan", rollout, "viewer")],
        "GET /rollouts/{name}": [("GET", "/rollouts/nothing", None, "viewer")],
        "GET /rollouts/{name}/events": [("GET", "/rollouts/nothing/events", None, "viewer")],
        "POST /rollouts/{name}/{command}": [
            ("POST", f"/rollouts/nothing/{name}", {}, commands.get(name, "operator")) for name in names
        ],
        "GET /snapshot": [("GET", "/snapshot", None, "viewer")],
        "POST /telemetry": [("POST", "/telemetry", REPORT, "operator")],
        "GET /telemetry": [("GET", "/telemetry", None, "viewer")],
        "GET /replicas": [("GET", "/replicas", None, "viewer")],
        "GET /decisions": [("GET", "/decisions", None, "viewer")],
        "POST /keys": [("POST", "/keys", {"name": "local", "role": "viewer"}, "admin")],
        "GET /keys": [("GET", "/keys", None, "admin")],
        "DELETE /keys/{name}": [("DELETE", "/keys/nobody", None, "admin")],
        "POST /webhooks": [("POST", "/webhooks", hook, "admin")],
        "GET /webhooks": [("GET", "/webhooks", None, "admin")],
        "DELETE /webhooks/{number}": [("DELETE", "/webhooks/99", None, "admin")],
        "GET /webhooks/{number}/deliveries": [("GET", "/webhooks/99/deliveries", None, "admin")],
    }


OF_REPLICAS = {"GET /health", "GET /snapshot", "GET /bundles/{digits}/files/{path}", "POST /telemetry"}
"""All that a replica may ask."""


def test_every_route_says_here_who_may_use_it(guarded: tuple[ControlPlane, dict[str, str]]) -> None:
    paths = guarded[0].http.get(f"{guarded[0].url}/api/openapi.json").json()["paths"]
    there = {f"{method.upper()} {path.removeprefix('/api/v1')}" for path, item in paths.items() for method in item}
    assert there == set(routes(""))


@pytest.mark.parametrize("role", [*ROLES, REPLICA, None])
def test_a_role_may_do_what_it_says_and_nothing_more(
    guarded: tuple[ControlPlane, dict[str, str]], tmp_path: Path, role: str | None
) -> None:
    control, found = guarded
    with control.client(found["operator"]) as client:
        sha256 = client.push(small_bundle(tmp_path, "keyed"))["sha256"]
        client.put("/endpoints/keyed", {})
    headers = {} if role is None else {"Authorization": f"Bearer {found[role]}"}
    with httpx.Client(base_url=f"{control.url}/api/v1", headers=headers, trust_env=False) as http:
        for route, asked in routes(sha256).items():
            for method, path, body, needed in asked:
                answer = http.request(method, path, json=body)
                what = f"{role}: {method} {path}: {answer.status_code} {answer.text}"
                if needed == OPEN or (route in OF_REPLICAS if role == REPLICA else _suffices(role, needed)):
                    # What the rules and the registry say comes after what the key may do; that the question is
                    # well put comes before.
                    assert answer.status_code not in {401, 403, 405}, what
                    assert answer.status_code < 500, what
                    assert "invalid_request" not in answer.text, what
                elif role is None:
                    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), what
                else:
                    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), what
                    assert role in answer.json()["error"], what
                    assert needed in answer.json()["error"] or role == REPLICA, what


def _suffices(role: str | None, needed: str) -> bool:
    return role is not None and ROLES.index(role) >= ROLES.index(needed)


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


def test_behind_a_proxy_of_its_own_machine_everybody_needs_a_key(tmp_path: Path) -> None:
    """Such a proxy comes from the loopback address, and may ask for it by that name too."""
    running = ControlPlane(tmp_path / "control", "--public-url", "https://control.example/fairlead")
    try:
        running.wait_until_serving()
        assert running.http.get("/bundles").status_code == 401
        assert running.http.get("/health").status_code == 200
        assert "control plane at https://control.example/fairlead (" in running.stderr()
        assert f"it listens at {running.url}" in running.stderr()
        document = running.http.get(f"{running.url}/api/openapi.json").json()
        assert document["servers"] == [{"url": "https://control.example/fairlead"}]
        assert "/fairlead/api/openapi.json" in running.http.get(f"{running.url}/api/docs").text
        assert running.stop() == 0
    finally:
        running.kill()
