"""Both planes, live traffic, and a rollout that decides by itself: the good challenger is promoted and the bad ones are
rolled back, and no request fails meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.rollout.replay import replay
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import RolloutDecision, RolloutState
from tests.serverkit import delivery
from tests.serverkit.control import ControlPlane
from tests.serverkit.delivery import address, champion_now, digest, loaded, requests, stage
from tests.serverkit.models import Workshop
from tests.serverkit.traffic import Traffic
from tests.serverkit.waiting import until

pytestmark = pytest.mark.timeout(240)
StartControl = Callable[..., ControlPlane]

SEEN = {"rollout": "/rollouts/next", "telemetry": "/telemetry", "replicas": "/replicas"}
"""What is shown where a rollout does not end."""
DECIDED = ("promoted", "rolled_back", "aborted")
CHAMPION = """
import numpy as np

def predict(batch: dict[str, np.ndarray]) -> np.ndarray:
    return 1 / (1 + np.exp(1.0 - batch["amount"] / 50))
"""
CHALLENGERS = {
    "errors": """
import numpy as np

def predict(batch: dict[str, np.ndarray]) -> np.ndarray:
    if (batch["amount"] % 1 == 0.25).any():  # the sample has no such row
        raise ValueError("a fault of the model")
    return 1 / (1 + np.exp(1.0 - batch["amount"] / 50))
""",
    "slower": """
import time
import numpy as np

def predict(batch: dict[str, np.ndarray]) -> np.ndarray:
    time.sleep(0.08)
    return 1 / (1 + np.exp(1.0 - batch["amount"] / 50))
""",
}
GUARDRAILS: list[dict[str, Any]] = [
    {"name": "errors", "kind": "rate", "margin": {"ratio": 2}},
    {"name": "p99", "kind": "quantile", "q": 0.99, "margin": {"abs": 50}},
    {"name": "scores", "kind": "distribution"},
]


def document(challenger: Path, *steps: dict[str, Any], guardrails: Sequence[Any]) -> dict[str, Any]:
    return delivery.document(challenger, {"canary": {"steps": list(steps)}}, guardrails)


def ended(control: ControlPlane, seconds: float) -> dict[str, Any]:
    def found() -> Any:
        shown = control.get("/rollouts/next")
        return shown if shown["state"]["phase"] in DECIDED else None

    try:
        result: dict[str, Any] = until(found, "the rollout ends by itself", seconds=seconds, every=0.1)
    except AssertionError as error:
        error.add_note(json.dumps({name: control.get(path) for name, path in SEEN.items()}, indent=1))
        raise
    return result


def packed(folder: Path, source: str, name: str) -> Path:
    """Pack a function, as a user does it in the project's folder."""
    project = folder / name
    project.mkdir()
    (project / f"scoring_{name}.py").write_text(source)
    rows = [f"{n % 200}.5,{int(n % 200 > 60)}" for n in range(400)]
    (project / "sample.csv").write_text("\n".join(["amount,target", *rows]))
    command = [sys.executable, "-m", "fairlead", "pack", f"scoring_{name}:predict", "--name", "risk"]
    command += ["--data", "sample.csv", "--target", "target", "--out", "bundles"]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (bundle,) = (project / "bundles").glob("risk-*")
    return bundle


def test_a_good_challenger_goes_all_the_way_by_itself(start_control: StartControl, models: Workshop) -> None:
    control = start_control("--data-port", "0")
    stage(control, models.binary.bundle, models.successor.bundle)
    steps: list[dict[str, Any]] = [
        {"shadow": {"percent": 100}},
        {"pause": {"duration": "2s"}},
        {"setCohort": {"maxUnits": 1_000}},
        {"analysis": {"until": {"minUnits": 300}, "timeout": "2m", "onTimeout": "rollback"}},
        {"setWeight": 25},
        {"analysis": {"until": {"minUnits": 500}, "timeout": "2m", "onTimeout": "rollback"}},
        {"setWeight": 50},
        {"analysis": {"until": {"proven": ["p99"]}, "timeout": "2m", "onTimeout": "rollback"}},
    ]
    with Traffic(address(control), requests(list(models.binary.records)), connections=8) as traffic:
        wanted = document(models.successor.bundle, *steps, guardrails=GUARDRAILS[:2])
        answer = control.http.put("/rollouts", json=wanted)
        assert answer.status_code == 200, answer.text
        shown = ended(control, 180)
        assert shown["state"]["phase"] == "promoted", shown
        traffic.wait_for(500)
        exchanges = traffic.stop()
    assert Counter(traffic.statuses()) == {200: len(exchanges)}, "no request failed"
    assert champion_now(control) == models.successor.sha256
    last = exchanges[-1].answer
    assert last is not None
    assert last.json()["bundle"] == models.successor.sha256


@pytest.mark.parametrize("fault", sorted(CHALLENGERS))
def test_a_bad_challenger_is_rolled_back_by_itself(start_control: StartControl, tmp_path: Path, fault: str) -> None:
    control = start_control("--data-port", "0")
    champion, challenger = packed(tmp_path, CHAMPION, "champion"), packed(tmp_path, CHALLENGERS[fault], fault)
    stage(control, champion, challenger)
    bodies = requests([{"amount": n + (0.25 if n % 10 < 3 else 0.5)} for n in range(1, 199)])
    with Traffic(address(control), bodies, connections=8) as traffic:
        steps: list[dict[str, Any]] = [
            {"setWeight": 20},
            {"analysis": {"until": {"proven": ["errors", "p99"]}, "timeout": "5m"}},
        ]
        answer = control.http.put("/rollouts", json=document(challenger, *steps, guardrails=GUARDRAILS[:2]))
        assert answer.status_code == 200, answer.text
        shown = ended(control, 120)
        assert shown["state"]["phase"] == "rolled_back", shown
        until(lambda: loaded(control) == [digest(champion)], "the data plane has let the challenger go", seconds=30)
        gone = time.monotonic()
        traffic.wait_for(200)
        exchanges = traffic.stop()
    assert champion_now(control) == digest(champion)
    after = [e.answer.json()["bundle"] for e in exchanges if e.answer is not None and e.started > gone]
    assert len(after) > 50
    assert set(after) == {digest(champion)}
    failed = Counter(e.answer.status if e.answer else None for e in exchanges)
    assert set(failed) <= {200, 500}
    if fault == "slower":
        assert failed == {200: len(exchanges)}


def test_shifted_scores_are_noticed(start_control: StartControl, tmp_path: Path) -> None:
    shifted = CHAMPION.replace("1.0 - ", "0.0 - ")
    control = start_control("--data-port", "0")
    champion, challenger = packed(tmp_path, CHAMPION, "champion"), packed(tmp_path, shifted, "shifted")
    stage(control, champion, challenger)
    bodies = requests([{"amount": float(n % 200) + 0.5} for n in range(200)])
    guardrails = [{**GUARDRAILS[2], "action": "rollback"}]
    with Traffic(address(control), bodies, connections=8) as traffic:
        steps: list[dict[str, Any]] = [{"setWeight": 30}, {"pause": {}}]
        answer = control.http.put("/rollouts", json=document(challenger, *steps, guardrails=guardrails))
        assert answer.status_code == 200, answer.text
        assert ended(control, 120)["state"]["phase"] == "rolled_back"
        exchanges = traffic.stop()
    assert Counter(traffic.statuses()) == {200: len(exchanges)}


RARE = """
import numpy as np

def predict(batch: dict[str, np.ndarray]) -> np.ndarray:
    return 1 / (1 + np.exp(9.0 - batch["amount"] / 20))
"""


def test_a_challenger_on_another_scale_acts_as_often_as_the_champion(
    start_control: StartControl, tmp_path: Path
) -> None:
    control = start_control("--data-port", "0")
    champion, challenger = packed(tmp_path, RARE, "champion"), packed(tmp_path, RARE.replace("9.0", "6.5"), "shifted")
    stage(control, champion, challenger)
    until(lambda: "risk" in serving(control), "the champion is served", seconds=30)
    records = [{"amount": n / 10 + 0.05} for n in range(2_000)]

    def acts(version: str, rate: float, **headers: str) -> bool:
        """Whether it is this version that answers all amounts, and acts so often."""
        url = f"{control.addresses['data_url']}/v1/endpoints/risk:predict"
        told = httpx.post(url, json={"records": records, "unit": "me"}, headers=headers, trust_env=False).json()
        decisions = [int(row["decision"]) for row in told["predictions"]]
        return told["version"] == version and abs(sum(decisions) / len(decisions) - rate) < 0.004

    assert acts("1", 0.1)
    steps: list[dict[str, Any]] = [{"shadow": {"percent": 100}}, {"pause": {"duration": "1s"}}, {"setWeight": 50}]
    wanted = document(challenger, *steps, {"pause": {}}, guardrails=[])
    wanted["spec"]["recalibrate"] = {"from": "shadow", "minPairs": 2_000}
    with Traffic(address(control), requests(records), connections=8):
        assert control.http.put("/rollouts", json=wanted).is_success
        until(lambda: serving(control)["risk"]["variants"][1:], "the challenger is loaded", seconds=30)
        assert acts("2", 0.35, **{"fairlead-variant": "challenger"})
        until(lambda: control.get("/rollouts/next")["state"]["step"] == 3, "units are the challenger's", seconds=60)
    found = control.get("/rollouts/next")["state"]["recalibration"]
    assert found["pairs"] >= 2_000
    assert found["challenger_rate"] == pytest.approx(found["champion_rate"], abs=0.004)
    assert found["uncorrected_rate"] > 1.5 * found["champion_rate"]

    until(lambda: acts("2", 0.1, **{"fairlead-variant": "challenger"}), "the threshold is in force", seconds=30)
    control.http.post("/rollouts/next/promote", json={}).raise_for_status()
    until(lambda: acts("2", 0.1), "the new champion keeps it", seconds=30)
    kept = {one["version"]: one["threshold"] for one in control.get("/endpoints/risk/roles")}
    assert kept == {"1": None, "2": found["threshold"]}
    control.http.post("/rollouts/next/undo", json={}).raise_for_status()
    until(lambda: acts("1", 0.1), "the former champion decides as it did", seconds=30)
    assert {one["threshold"] for one in control.get("/endpoints/risk/roles")} == {None}
    [cut_over] = [
        event
        for event in control.get("/rollouts/next/events", limit=100)["events"]
        if "the challenger decides at" in event["evidence"]["decision"]["reason"]
    ]
    kept_evidence = RolloutDecision.model_validate(cut_over["evidence"]["decision"])
    before_it = RolloutState.model_validate(cut_over["evidence"]["before"])
    assert replay(Rollout.model_validate(cut_over["evidence"]["rollout"]), before_it, kept_evidence) == kept_evidence


def serving(control: ControlPlane) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{control.addresses['data_admin_url']}/debug/state", trust_env=False).json()[
        "endpoints"
    ]
    return found
