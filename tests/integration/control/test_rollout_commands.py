"""The command line and the keys: who may do what to a rollout, and what is answered."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.errors import ControlError
from tests.serverkit.bundles import small_bundle
from tests.serverkit.control import ControlPlane
from tests.serverkit.rollouts import rollout
from tests.serverkit.simulated import SimulatedPlane
from tests.serverkit.waiting import until

StartControl = Callable[..., ControlPlane]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]
ALONE: list[dict[str, Any]] = [{"setWeight": 5}, {"pause": {}}]
GATED: list[dict[str, Any]] = [{"approve": {}}, {"setWeight": 5}, {"pause": {}}]


def staged(control: ControlPlane, folder: Path, key: str | None = None) -> None:
    with control.client(key) as client:
        digests = [client.push(small_bundle(folder / "bundles", "fraud", model))["sha256"] for model in (b"1", b"2")]
        client.put("/endpoints/fraud", {"unit_key": "card"})
        client.put("/endpoints/fraud/roles/champion", {"sha256": digests[0]})


def body(*steps: dict[str, Any], **spec: Any) -> Any:
    return rollout(*steps, **spec).model_dump(mode="json")


@pytest.mark.timeout(120)
def test_the_whole_of_it_from_the_command_line(start_control: StartControl, tmp_path: Path, cli: Cli) -> None:
    control = start_control("--lease", "0.5")
    staged(control, tmp_path)
    plane = SimulatedPlane(control.http, "fraud")
    plane.live(100)
    file = tmp_path / "rollout.yaml"
    file.write_text(yaml.safe_dump(body(*ALONE)))

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = cli(*arguments, "--url", control.url)
        assert done.returncode == code, done.stderr
        return done

    tried = run("apply", "-f", str(file), "--dry-run")
    assert (tried.stdout, tried.stderr) == ("", "rollout fraud-2 would be created\n")
    assert json.loads(run("apply", "-f", str(file), "--json").stdout)[0]["change"] == "created"
    assert run("apply", "-f", str(file)).stderr == "rollout fraud-2 unchanged\n"
    until(lambda: plane.live(200) and control.get("/rollouts/fraud-2")["state"]["phase"] == "paused", "it pauses")
    assert "fraud-2" in run("rollout", "list").stdout
    shown = run("rollout", "show", "fraud-2").stdout
    assert "PAUSED" in shown
    assert "errors" in shown
    assert json.loads(run("rollout", "show", "fraud-2", "--json").stdout)["state"]["phase"] == "paused"
    plan = json.loads(run("rollout", "plan", "-f", str(file), "--base-rate", "0.01", "--json").stdout)
    assert plan[0]["guardrails"][0]["base_rate"] == 0.01
    assert run("rollout", "plan", "-f", str(file), "--base-rate", "0.01").stdout
    assert "asks for no approval" in run("rollout", "approve", "fraud-2", code=1).stderr
    run("rollout", "promote", "fraud-2", "--reason", "enough")
    watched = run("rollout", "watch", "fraud-2", "--json").stdout
    assert json.loads(watched)["state"]["phase"] == "promoted"
    run("rollout", "undo", "fraud-2")
    assert run("rollout", "show", "fraud-2", code=1).stdout
    run("rollout", "watch", "fraud-2", code=1)
    assert "phase" in run("rollout", "start", "fraud-2", "--json").stdout
    run("rollout", "abort", "fraud-2", "--reason", "wrong data")
    refused = run("rollout", "resume", "fraud-2", code=1)
    assert refused.stderr.startswith("error: fraud-2 has ended: rolled_back\nhint: ")
    assert run("rollout", "show", "nothing", code=1).stderr.startswith("error: no rollout 'nothing'")
    file.write_text(file.read_text().replace("setWeight", "setweight"))
    wrong = run("apply", "-f", str(file), code=2).stderr
    assert "steps[0].setweight: there is no such field" in wrong


@pytest.mark.timeout(60)
def test_rights(start_control: StartControl, tmp_path: Path) -> None:
    control = start_control("--lease", "0.5")
    keys = {}
    with control.client() as first:
        keys["admin"] = first.post("/keys", {"name": "root", "role": "admin"})["key"]
    with control.client(keys["admin"]) as admin:
        for role in ("viewer", "operator", "approver"):
            keys[role] = admin.post("/keys", {"name": role, "role": role})["key"]
    staged(control, tmp_path, keys["admin"])

    def refused(role: str, act: Callable[[Any], Any], code: str = "forbidden") -> None:
        with control.client(keys[role]) as client, pytest.raises(ControlError) as caught:
            act(client)
        assert caught.value.code == code, caught.value.message

    def done(role: str, act: Callable[[Any], Any]) -> Any:
        with control.client(keys[role]) as client:
            return act(client)

    refused("viewer", lambda client: client.put("/rollouts", body(*GATED)))
    # One who may not make a champion declares no rollout that makes one by itself.
    refused("operator", lambda client: client.put("/rollouts", body(*ALONE)))
    done("operator", lambda client: client.put("/rollouts", body(*GATED)))
    for name, role in (("pause", "viewer"), ("promote", "operator"), ("undo", "operator"), ("approve", "operator")):
        refused(role, lambda client, name=name: client.post(f"/rollouts/fraud-2/{name}", {}))  # type: ignore[misc]
    view = done("approver", lambda client: client.post("/rollouts/fraud-2/approve", {"reason": "seen"}))
    assert view["state"]["approvals"][0]["role"] == "approver"
    done("operator", lambda client: client.post("/rollouts/fraud-2/pause", {}))
    done("operator", lambda client: client.post("/rollouts/fraud-2/resume", {}))
    done("operator", lambda client: client.post("/rollouts/fraud-2/abort", {}))
    events = done("viewer", lambda client: client.get("/rollouts/fraud-2/events"))["events"]
    assert [event["actor"] for event in events if event["kind"] == "rollout.aborted"] == ["operator"]
    assert events[-1]["actor"] == "operator"
    told = {event["evidence"]["decision"]["reason"] for event in events}
    assert {"started", "approved: seen", "paused", "resumed", "aborted"} <= told
    # What holds a rollout is overruled by one who may make champions.
    done("operator", lambda client: client.put("/rollouts", body(*GATED, maxDuration="1s")))
    until(
        lambda: done("viewer", lambda client: client.get("/rollouts/fraud-2"))["state"]["phase"] == "held", "it holds"
    )
    refused("operator", lambda client: client.post("/rollouts/fraud-2/resume", {}))
    view = done("approver", lambda client: client.post("/rollouts/fraud-2/resume", {}))
    assert view["state"]["overruled"] == ["maxDuration"]
