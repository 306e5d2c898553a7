"""Snapshots over administration: applied whole, in order, and kept for the next start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fairlead.schema.snapshot import Snapshot
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Launch, Server
from tests.serverkit.snapshots import endpoint, snapshot


def names(server: Server) -> list[str]:
    return [one["name"] for one in server.http.get("/v1/endpoints").json()["endpoints"]]


def test_endpoints_come_and_go_with_snapshots(serve: Serve, models: Workshop) -> None:
    server = serve()
    assert names(server) == []
    assert server.http.get("/v2/health/ready").status_code == 200
    both = [endpoint("binary", models.binary.bundle), endpoint("simple", models.simple.bundle)]
    assert server.put(snapshot(*both, generation=2)).json() == {"generation": 2}
    assert names(server) == ["binary", "simple"]
    assert server.put(snapshot(both[0], generation=3)).status_code == 200
    assert names(server) == ["binary"]
    assert server.http.get("/v2/models/simple").json()["code"] == "unknown_endpoint"


def test_what_did_not_change_goes_on_as_it_runs(serve: Serve, models: Workshop) -> None:
    moody = endpoint("moody", models.moody.bundle)
    server = serve(moody)
    workers = server.processes.descendants().living()
    assert len(workers) == 2
    assert server.put(snapshot(moody, endpoint("simple", models.simple.bundle), generation=2)).status_code == 200
    assert sorted(server.processes.descendants().living()) == sorted(workers)


def test_the_snapshot_in_force_is_shown_and_can_be_put_back(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle))
    shown = Snapshot.model_validate_json(server.admin.get("/snapshot").content)
    assert shown == server.launch.snapshot
    assert server.put(shown.model_copy(update={"generation": 7})).status_code == 200
    assert server.metrics().total("fairlead_snapshot_generation") == 7


def test_the_last_good_snapshot_serves_where_the_given_one_cannot(
    serve: Serve, models: Workshop, tmp_path: Path
) -> None:
    state = ["--state", str(tmp_path / "state")]
    first = serve(endpoint("binary", models.binary.bundle), arguments=state)
    first.put(snapshot(endpoint("simple", models.simple.bundle), generation=5))
    assert first.stop() == 0
    second = serve(endpoint("binary", tmp_path / "absent"), arguments=state)
    assert names(second) == ["simple"]
    assert second.state()["generation"] == 5


def test_a_version_beside_the_champion_answers_where_it_is_asked(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle, version="1"))
    server.put(snapshot(endpoint("binary", models.successor.bundle, version="2"), generation=2))
    assert server.http.get("/v2/models/binary/versions/1").json()["code"] == "unknown_version"
    assert server.http.get("/v2/models/binary").json()["versions"] == ["2"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"deadline_ms": 0}, "deadline_ms"),
        ({"name": "a/b"}, "endpoints[0].name"),
        ({"variants": []}, "champion"),
        ({"validation": "hope"}, "hope"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_snapshot_that_does_not_hold_together_is_refused(
    serve: Serve, models: Workshop, fields: dict[str, Any], named: str
) -> None:
    server = serve(endpoint("binary", models.binary.bundle))
    document = snapshot(endpoint("binary", models.binary.bundle), generation=2).model_dump(mode="json")
    document["endpoints"][0] |= fields
    answer = server.admin.put("/snapshot", content=json.dumps(document))
    assert (answer.status_code, answer.json()["code"]) == (400, "snapshot_invalid")
    assert named in answer.json()["error"]
    assert server.state()["generation"] == 1


def test_a_server_without_anything_good_does_not_start(models: Workshop, tmp_path: Path) -> None:
    launch = Launch(folder=tmp_path, snapshot=snapshot(endpoint("binary", tmp_path / "absent")))
    server = Server(launch)
    assert server.wait_until_ended() == 1
    assert "bundle_missing" in server.stderr()
    assert "hint: check the path" in server.stderr()
    assert "Traceback" not in server.stderr()
