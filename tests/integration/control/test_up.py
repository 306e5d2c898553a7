"""`fairlead up` and the commands that drive it: from a bundle to a prediction, as a user does it."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.cli import app
from tests.serverkit.control import ControlPlane
from tests.serverkit.models import Workshop
from tests.serverkit.processes import Processes
from tests.serverkit.waiting import until

pytestmark = pytest.mark.timeout(150)
StartControl = Callable[..., ControlPlane]


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; gives exit code, stdout and stderr."""

    def run(control: ControlPlane, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setenv("FAIRLEAD_URL", control.url)
        capsys.readouterr()
        code = app.run(arguments)
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def told(command: Run) -> Callable[..., str]:
    """Run a command that must succeed; gives stdout."""

    def run(control: ControlPlane, *arguments: str) -> str:
        code, out, err = command(control, *arguments)
        assert code == 0, err
        return out.strip()

    return run


def served(control: ControlPlane, name: str) -> Any:
    return (
        httpx.get(f"{control.addresses['data_admin_url']}/debug/state", trust_env=False).json()["endpoints"].get(name)
    )


def test_from_a_bundle_to_a_prediction_and_to_the_next_version(
    start_control: StartControl, models: Workshop, command: Run, told: Callable[..., str]
) -> None:
    control = start_control("--data-port", "0")
    told(control, "endpoint", "set", "risk", "--unit-key", "card", "--max-batch-rows", "64")
    settings = json.loads(told(control, "endpoint", "set", "risk", "--validation", "flag", "--json"))["settings"]
    assert (settings["unit_key"], settings["validation"], settings["batching"]["max_rows"]) == ("card", "flag", 64)
    first = told(control, "registry", "push", str(models.binary.bundle))
    second = told(control, "registry", "push", str(models.successor.bundle))
    assert {first, second} == {models.binary.sha256, models.successor.sha256}
    code, out, err = command(control, "registry", "assign", "risk", "challenger", first)
    assert (code, out) == (1, "")
    assert "there is no champion" in err
    told(control, "registry", "assign", "risk", "champion", first[:8], "--reason", "first")
    until(lambda: served(control, "risk"), "the data plane serves it", seconds=30)
    records = list(models.binary.records[:4])
    with httpx.Client(base_url=control.addresses["data_url"], trust_env=False) as http:

        def answer() -> Any:
            return http.post("/v1/endpoints/risk:predict", json={"records": records}).json()

        scores = [one["score"] for one in answer()["predictions"]]
        assert scores == pytest.approx(models.binary.scores(records))
        told(control, "registry", "assign", "risk", "challenger", second)
        told(control, "registry", "assign", "risk", "champion", second, "--reason", "better")
        until(lambda: answer()["bundle"] == second, "the next version answers", seconds=30)
    assert command(control, "registry", "diff", first, second)[0] == 0
    assert [one["name"] for one in json.loads(told(control, "registry", "list", "--json"))] == ["binary", "binary"]
    moves = json.loads(told(control, "registry", "history", "risk", "--json"))
    assert [(one["to_role"], one["reason"]) for one in moves][-1] == ("champion", "first")
    at = json.loads(told(control, "registry", "history", "risk", "--at", str(moves[-1]["at_us"]), "--json"))
    assert at["sha256"] == first
    assert "ticket=R-1" in told(control, "registry", "tag", first, "ticket=R-1")
    for words in (("show", first), ("list",), ("history", "risk")):
        assert told(control, "registry", *words)
    assert "binary-2" in told(control, "endpoint", "list")
    # The data plane beside it may do no more than a replica, and that suffices to be heard.
    until(lambda: control.get("/telemetry"), "its counts arrive", seconds=30)
    assert control.stop() == 0


def test_a_data_plane_that_dies_is_started_again_where_it_was(start_control: StartControl, models: Workshop) -> None:
    control = start_control("--data-port", "0")
    with control.client() as client:
        sha256 = client.push(models.binary.bundle)["sha256"]
        client.put("/endpoints/risk", {})
        client.put("/endpoints/risk/roles/champion", {"sha256": sha256})
    until(lambda: served(control, "risk"), "the data plane serves it", seconds=30)
    [before] = Processes(control.process.pid).descendants().members
    os.kill(before[0], signal.SIGKILL)

    def answers() -> bool:
        body = {"records": list(models.binary.records[:1])}
        try:
            url = f"{control.addresses['data_url']}/v1/endpoints/risk:predict"
            return httpx.post(url, json=body, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    until(answers, "it serves again", seconds=30)
    assert "starting it again" in control.stderr()
    assert control.stop(signal.SIGINT) == 0


def test_a_port_that_is_taken_is_said(start_control: StartControl, tmp_path: Path, cli: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        control = cli("up", "--port", port, "--no-data-plane")
        assert control.returncode == 1
        assert control.stderr.splitlines()[-2:] == [
            f"error: cannot listen on 127.0.0.1:{port}: Address already in use",
            "hint: --port takes another; 0 takes any",
        ]
        data = cli("up", "--port", "0", "--data-port", port)
        assert data.returncode == 1
        assert "the data plane ended" in data.stderr
        assert "--data-port" in data.stderr.splitlines()[-1]


def test_no_control_plane_is_said(cli: Any) -> None:
    done = cli("registry", "list", "--url", "http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "fairlead up" in done.stderr
