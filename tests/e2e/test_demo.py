"""`fairlead demo` keeps its promises: a true summary, a complete log, and no process left behind."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairlead.client import Client, ControlClient
from fairlead.store import PredictionLog

pytestmark = pytest.mark.timeout(300)
WAIT_SECONDS = 90.0
RUN_SECONDS = 240.0

CANARY = ("shadow 100 %", "250 units", "5 %", "25 %", "100 %  ")
"""As it is told at the pace of `--fast`."""

Cli = Callable[..., subprocess.CompletedProcess[str]]
Finished = tuple[Path, dict[str, Any], float, str]
"""Folder, summary, CPU seconds, what was said."""


def until(happened: Callable[[], object], what: str) -> None:
    """Wait for a condition, not for a time."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen within {WAIT_SECONDS:.0f} s"
        time.sleep(0.05)


def processes_of(folder: Path) -> dict[int, str]:
    """Processes whose command line names `folder`: this demo's server and traffic, and nobody else's."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                zombie = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                continue
            if str(folder) in command and not zombie:
                found[int(entry.name)] = command
    return found


@contextmanager
def started(folder: Path, repository: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A demo under way, in a session of its own."""
    environment = {**os.environ, "PYTHONPATH": str(repository / "python")}
    with (folder / "demo.err").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "fairlead", "demo", "--fast", "--out", str(folder / "out"), "--json", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        for pid in processes_of(folder / "out"):
            os.kill(pid, signal.SIGKILL)


def traffic_flows(folder: Path) -> bool:
    return any("fairlead.demo.traffic" in command for command in processes_of(folder / "out").values())


def stream_flows(folder: Path) -> bool:
    return any("fairlead.demo.stream" in command for command in processes_of(folder / "out").values())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, repository_module: Path) -> Finished:
    """One whole run, with its summary."""
    folder = tmp_path_factory.mktemp("demo")
    before = os.times()
    with started(folder, repository_module) as process:
        stdout, _ = process.communicate(timeout=RUN_SECONDS)
        assert process.returncode == 0, (folder / "demo.err").read_text()
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return folder, json.loads(stdout), busy, (folder / "demo.err").read_text()


@pytest.fixture(scope="module")
def repository_module() -> Path:
    return Path(__file__).parents[2]


def test_it_needs_little_of_the_machine(finished: Finished) -> None:
    """CPU seconds, with those of its server and traffic: wall time on a shared machine says nothing of us."""
    _, summary, busy, _ = finished
    assert 1 < busy < 100
    assert summary["seconds"] > 0


def test_the_log_is_exactly_what_was_answered(finished: Finished) -> None:
    folder, summary, _, _ = finished
    log = summary["log"]
    assert (log["missing"], log["extra"], log["duplicate_ids"]) == (0, 0, 0)
    assert log["rows"] == log["answers"] > 1_000
    with PredictionLog(folder / "out" / "log").query("SELECT count(*), count(DISTINCT id) FROM predictions") as result:
        (batch,) = result.batches
    assert [column[0].as_py() for column in batch.columns] == [log["rows"], log["rows"]]
    assert sum(log["decisions"].values()) == log["rows"]


def test_answers_and_rates_are_those_of_the_phases(finished: Finished) -> None:
    _, summary, _, _ = finished
    open_loop, *rushes = summary["speed"]
    assert sum(phase["answers"] for phase in summary["speed"]) == summary["log"]["answers"]
    assert open_loop["answers"] == 600
    # Never faster than planned; slower only where the machine is starved.
    assert 100 < open_loop["per_second"] < 205
    assert len(rushes) == 2
    for phase in summary["speed"]:
        assert phase["refused"] == 0
        assert 0 < phase["p50"] <= phase["p95"] <= phase["p99"]
        assert phase["per_second"] == pytest.approx(phase["answers"] / phase["seconds"], rel=1e-6)
    # A rate is measured over its whole time, not over the blink that the rows last.
    assert all(phase["seconds"] >= 2.0 for phase in rushes)


def test_served_scores_are_the_notebooks(finished: Finished) -> None:
    _, summary, _, _ = finished
    assert summary["agreement"]["answers"] == summary["log"]["answers"]
    assert summary["agreement"]["largest_difference_float32"] < 1e-5
    assert summary["agreement"]["changed_decisions"] == 0
    assert summary["parity"]["passed"]
    assert summary["parity"]["changed_decisions"] == 0
    assert summary["bundle"]["engine"] == "onnx"


def test_accuracy_stands_beside_what_never_would_get(finished: Finished) -> None:
    _, summary, _, stderr = finished
    quality = summary["quality"]
    assert 0.98 < quality["accuracy_of_never"] < quality["accuracy"] < 1
    assert 0.9 < quality["auc"] < 1
    assert f"{quality['accuracy_of_never']:.2%}" in stderr
    ordinary, friday = summary["decisions"]
    assert (ordinary["stretch"], friday["stretch"]) == ("ordinary weeks", "Black Friday")
    assert friday["false_share"] > 3 * ordinary["false_share"]


def test_a_good_challenger_goes_all_the_way_by_itself(finished: Finished) -> None:
    _, summary, _, stderr = finished
    canary = summary["delivery"]["canary"]
    assert canary["promoted"]
    assert canary["traffic"]["failed"] == {}
    assert set(canary["traffic"]["versions"]) == {"1", canary["version"]}
    told = [line.strip() for line in stderr.splitlines()]
    places = [next(n for n, line in enumerate(told) if f"  {stage}" in line) for stage in CANARY]
    assert places == sorted(places), "one stage after the other"


def test_bad_challengers_are_rolled_back_by_what_they_harm(finished: Finished) -> None:
    _, summary, _, stderr = finished
    by = {}
    for trial in summary["delivery"]["faults"]:
        by[trial["rollout"]] = {one["name"] for one in trial["guardrails"] if one["harmful"]}
        assert not trial["promoted"]
        assert trial["reason"].startswith("harm is shown")
        assert 0 < trial["challenger_requests"] < 0.2 * trial["traffic"]["requests"]
        assert set(trial["traffic"]["failed"]) <= ({"500"} if trial["rollout"] == "fraud-errors" else set())
    assert by["fraud-errors"] == {"errors"}
    assert "p95" in by["fraud-slower"]
    assert by["fraud-shifted"] & {"scores", "declined"}
    assert stderr.count("rolled back after") == 3


def test_blue_green_is_switched_and_switched_back(finished: Finished) -> None:
    _, summary, _, _ = finished
    switched, canary = summary["delivery"]["blue_green"], summary["delivery"]["canary"]
    assert switched["traffic"]["failed"] == {}
    assert (switched["preview"], switched["leaked"]) == ("1", 0)
    assert (switched["there"]["version"], switched["there"]["strays"]) == ("1", 0)
    assert (switched["back"]["version"], switched["back"]["strays"]) == (canary["version"], 0)


def test_the_printed_commands_work(finished: Finished, cli: Cli) -> None:
    folder, summary, _, stderr = finished
    assert summary["curl"] in stderr
    lines = stderr.splitlines()
    query = shlex.split(lines[lines.index("Look into the log:") + 1])
    assert query[0] == "fairlead"
    done = cli(*query[1:])
    assert done.returncode == 0, done.stderr
    folder_again = lines[lines.index("Start both planes again:") + 1]
    assert folder_again == f"fairlead up --data-dir {summary['delivery']['data_dir']}"
    serve = next(line for line in lines if line.startswith("fairlead serve"))
    assert str(folder / "out") in serve
    assert summary["bundle"]["path"] in serve


def test_nothing_runs_on_when_it_is_over(finished: Finished) -> None:
    folder, _, _, _ = finished
    assert processes_of(folder / "out") == {}


def test_kept_planes_go_on_and_answer_the_printed_request(tmp_path: Path, repository: Path) -> None:
    with started(tmp_path, repository, "--keep") as process:
        stdout, _ = process.communicate(timeout=RUN_SECONDS)
        assert process.returncode == 0, (tmp_path / "demo.err").read_text()
        summary = json.loads(stdout)
        planes = summary["delivery"]
        assert (planes["kept"], summary["server"]["kept"]) == (True, False)
        running = processes_of(tmp_path / "out")
        assert planes["pid"] in running
        assert len(running) == 2, "both planes, and nothing else"
        _, _, url, _, body = shlex.split(summary["curl"])
        assert url.startswith(planes["data_url"])
        with Client(planes["data_url"]) as client:
            answer = client.predict("fraud", json.loads(body)["records"])
        assert (answer.version, answer.variant) == (planes["canary"]["version"], "champion")
        assert answer.predictions[0].decision in (0, 1)
        with ControlClient(planes["control_url"]) as control:
            phases = {one["rollout"]["metadata"]["name"]: one["state"]["phase"] for one in control.get("/rollouts")}
        assert phases.pop("fraud-canary") == "promoted"
        assert phases.pop("fraud-blue-green") == "undone"
        assert set(phases.values()) == {"rolled_back"}
        os.kill(planes["pid"], signal.SIGTERM)
        until(lambda: not processes_of(tmp_path / "out"), "the end of both planes")


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["SIGINT", "SIGTERM", "SIGKILL"]
)
def test_however_the_demo_ends_its_processes_end_too(tmp_path: Path, repository: Path, number: signal.Signals) -> None:
    with started(tmp_path, repository) as process:
        until(lambda: traffic_flows(tmp_path), "the start of the traffic")
        process.send_signal(number)
        process.wait(WAIT_SECONDS)
        assert process.returncode == (130 if number == signal.SIGINT else -number)
        own = str(process.pid)
        until(lambda: not [p for p in processes_of(tmp_path / "out") if str(p) != own], "the end of its processes")
        if number == signal.SIGINT:
            assert "interrupted" in (tmp_path / "demo.err").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
def test_both_planes_end_with_the_demo(tmp_path: Path, repository: Path, number: signal.Signals) -> None:
    with started(tmp_path, repository) as process:
        until(lambda: stream_flows(tmp_path), "the start of the stream")
        process.send_signal(number)
        process.wait(WAIT_SECONDS)
        own = str(process.pid)
        until(lambda: not [p for p in processes_of(tmp_path / "out") if str(p) != own], "the end of its processes")


def test_planes_that_die_end_the_demo_with_an_error(tmp_path: Path, repository: Path) -> None:
    with started(tmp_path, repository) as process:
        until(lambda: stream_flows(tmp_path), "the start of the stream")
        (planes,) = [pid for pid, command in processes_of(tmp_path / "out").items() if " up " in command]
        os.kill(planes, signal.SIGKILL)
        process.wait(WAIT_SECONDS)
        assert process.returncode == 1
        assert "error: `fairlead up` ended with exit code -9" in (tmp_path / "demo.err").read_text()
        until(lambda: not processes_of(tmp_path / "out"), "the end of its processes")


def test_a_server_that_dies_ends_the_demo_with_an_error(tmp_path: Path, repository: Path) -> None:
    with started(tmp_path, repository) as process:
        until(lambda: traffic_flows(tmp_path), "the start of the traffic")
        (server,) = [pid for pid, command in processes_of(tmp_path / "out").items() if " serve " in command]
        os.kill(server, signal.SIGKILL)
        process.wait(WAIT_SECONDS)
        said = (tmp_path / "demo.err").read_text()
        assert process.returncode == 1
        assert "error: the server ended with exit code -9" in said
        assert processes_of(tmp_path / "out") == {}


def own_data(path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = 3_000
    x, kind = rng.normal(size=rows), rng.choice(["a", "b", "ç"], rows)
    bad = x + (kind == "b") + rng.normal(size=rows) * 0.5 > 1.8
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=rows, freq="h"),
            "x": x,
            "kind": [None if gap else str(k) for gap, k in zip(rng.random(rows) < 0.1, kind, strict=True)],
            "gap": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
            "result": bad.astype(int) * 2,
            "w": np.where(bad, 1.0, 4.0),
            "label": np.where(bad, "yes", "no"),
        }
    )
    frame.sample(frac=1, random_state=1).to_csv(path, index=False)


def test_ones_own_file_runs_to_its_summary(tmp_path: Path, repository: Path) -> None:
    own_data(tmp_path / "mixed.csv")
    arguments = ("--data", str(tmp_path / "mixed.csv"), "--label", "label", "--weight", "w")
    with started(tmp_path, repository, *arguments) as process:
        stdout, _ = process.communicate(timeout=RUN_SECONDS)
        said = (tmp_path / "demo.err").read_text()
        assert process.returncode == 0, said
    summary = json.loads(stdout)
    assert summary["endpoint"] == "mixed"
    assert summary["features"] == ["x", "kind", "gap"]
    assert "WARNING: result nearly equals the label" in " ".join(summary["columns"])
    assert any("split in order of when" in remark for remark in summary["remarks"])
    assert summary["quality"]["auc"] > 0.85
    assert summary["log"]["complete"]
    assert summary["agreement"]["changed_decisions"] == 0
    assert summary["delivery"] is None
    assert "No rollouts: left out" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "gone.csv"], "--data and --label go together"),
        (["--label", "y"], "--data and --label go together"),
        (["--weight", "w"], "which is not given"),
        (["--data", "gone.csv", "--label", "y"], "no data file gone.csv"),
        (["--out", "taken"], "not made by a demo"),
    ],
)
def test_wrong_usage_is_said_in_one_line(cli: Cli, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    done = cli("demo", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "taken" / "file").exists()
