"""The record of decisions, page by page."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serverkit.bundles import small_bundle
from tests.serverkit.control import ControlPlane


@pytest.fixture(scope="module")
def tagged(control: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bundle that was tagged ten times."""
    folder: Path = tmp_path_factory.mktemp("bundle")
    with control.client() as client:
        sha256: str = client.push(small_bundle(folder, "paged"))["sha256"]
        for number in range(10):
            tag(control, sha256, number)
    return sha256


def tag(control: ControlPlane, sha256: str, number: int) -> None:
    control.http.put(f"/bundles/{sha256}/tags/n", json={"value": str(number)}).raise_for_status()


def values(found: list[Any]) -> list[int]:
    return [int(one["evidence"]["after"]) for one in found]


def test_pages_go_on_where_the_last_one_ended_whatever_is_written_meanwhile(control: ControlPlane, tagged: str) -> None:
    answer = control.http.get("/decisions", params={"kind": "bundle.tagged", "limit": 3})
    [newest, *_] = values(answer.json())
    found = [values(answer.json())]
    for number in itertools.count(newest + 1):
        if "next" not in answer.links:
            break
        tag(control, tagged, number)
        answer = control.http.get(httpx.URL(answer.url).join(answer.links["next"]["url"]))
        assert answer.status_code == 200
        found.append(values(answer.json()))
    assert list(itertools.chain(*found)) == list(range(newest, -1, -1))
    assert {len(page) for page in found[:-1]} == {3}


def test_a_page_that_holds_all_has_no_next(control: ControlPlane, tagged: str) -> None:
    everything = control.http.get("/decisions", params={"kind": "bundle.tagged", "limit": 1_000})
    assert "link" not in everything.headers
    exactly = control.http.get("/decisions", params={"kind": "bundle.tagged", "limit": len(everything.json())})
    assert exactly.json() == everything.json()
    assert "link" not in exactly.headers


def test_decisions_by_time(control: ControlPlane, tagged: str) -> None:
    found = control.get("/decisions", kind="bundle.tagged", limit=1_000)
    middle = found[len(found) // 2]["at_us"]
    later = control.get("/decisions", kind="bundle.tagged", since=str(middle), limit=1_000)
    earlier = control.get("/decisions", kind="bundle.tagged", until=str(middle), limit=1_000)
    assert later
    assert earlier
    assert later + earlier == found
    assert control.get("/decisions", since="2100-01-01") == []


def test_decisions_of_an_endpoint_and_of_a_rollout(control: ControlPlane, tagged: str, tmp_path: Path) -> None:
    rollout = {
        "apiVersion": "fairlead.dev/v1",
        "kind": "Rollout",
        "metadata": {"name": "paged-2"},
        "spec": {
            "endpoint": "paged",
            "challenger": {"version": "2"},
            "guardrails": [{"name": "errors", "kind": "rate"}],
            "strategy": {"canary": {"steps": [{"approve": {}}]}},
        },
    }
    with control.client() as client:
        second = client.push(small_bundle(tmp_path, "paged", b"2"))["sha256"]
        assert second != tagged
        for name in ("paged", "other"):
            client.put(f"/endpoints/{name}", {"unit_key": "card"})
            client.put(f"/endpoints/{name}/roles/champion", {"sha256": tagged})
        client.put("/rollouts", rollout)
        client.post("/rollouts/paged-2/abort", {})
        kinds = [one["kind"] for one in client.get("/decisions", rollout="paged-2")]
        assert (kinds[0], kinds[-1]) == ("rollout.aborted", "rollout.started")
        assert client.get("/decisions", rollout="paged") == []
        assert {one["endpoint"] for one in client.get("/decisions", endpoint="other")} == {"other"}
        events = client.get("/rollouts/paged-2/events")["events"]
        assert events == client.get("/decisions", rollout="paged-2")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"before": "0"}, "before"),
        ({"before": str(2**63)}, "before"),
        ({"since": "yesterday"}, "'yesterday' is no time"),
        ({"until": "9" * 30}, "is no time"),
        ({"rolout": "fraud-2"}, "rolout"),
    ],
)
def test_what_cannot_be_meant_is_refused(control: ControlPlane, query: dict[str, str], field: str) -> None:
    answer = control.http.get("/decisions", params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert field in answer.json()["error"]
