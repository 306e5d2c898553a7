"""A challenger that harms one region only: both planes, live traffic, a guardrail by slices and a matched control."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serverkit.control import ControlPlane
from tests.serverkit.traffic import Traffic
from tests.serverkit.waiting import until
from tests.serverkit.wire import request

pytestmark = pytest.mark.timeout(240)
StartControl = Callable[..., ControlPlane]

REGIONS = [f"R{number}" for number in range(12)]
CHAMPION = """
import numpy as np

def predict(batch: dict[str, np.ndarray]) -> np.ndarray:
    return np.where(batch["amount"] % 10 < 1, 0.9, 0.1)
"""
CHALLENGER = """
import numpy as np

def predict(batch: dict[str, np.ndarray]) -> np.ndarray:
    return np.where((batch["amount"] % 10 < 1) | ((batch["region"] == "R3") & (batch["amount"] % 10 < 7)), 0.9, 0.1)
"""


def packed(folder: Path, source: str, name: str) -> Path:
    """Pack a function, as a user does it in the project's folder."""
    project = folder / name
    project.mkdir()
    (project / f"scoring_{name}.py").write_text(source)
    rows = [f"{n % 200}.5,{REGIONS[n % 12]},{int(n % 200 > 60)}" for n in range(400)]
    (project / "sample.csv").write_text("\n".join(["amount,region,target", *rows]))
    command = [sys.executable, "-m", "fairlead", "pack", f"scoring_{name}:predict", "--name", "risk"]
    command += ["--data", "sample.csv", "--target", "target", "--out", "bundles"]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (bundle,) = (project / "bundles").glob("risk-*")
    return bundle


def document(challenger: Path, *guardrails: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "fairlead.dev/v1",
        "kind": "Rollout",
        "metadata": {"name": "next"},
        "spec": {
            "endpoint": "risk",
            "challenger": {"bundle": (challenger / "DIGEST").read_text().strip()},
            "control": "matched",
            "guardrails": list(guardrails),
            "strategy": {"canary": {"steps": [{"setWeight": 30}, {"pause": {}}]}},
        },
    }


def by(column: str) -> dict[str, Any]:
    return {"name": "declines", "kind": "decision_rate", "metric": 1, "by": column}


def test_one_harmed_slice_rolls_back_and_is_named(start_control: StartControl, tmp_path: Path) -> None:
    control = start_control("--data-port", "0")
    bundles = packed(tmp_path, CHAMPION, "champion"), packed(tmp_path, CHALLENGER, "challenger")
    for bundle in bundles:
        with control.client() as client:
            client.push(bundle)
    control.http.put("/endpoints/risk", json={"unit_key": "card"}).raise_for_status()
    digest = (bundles[0] / "DIGEST").read_text().strip()
    control.http.put("/endpoints/risk/roles/champion", json={"sha256": digest}).raise_for_status()

    def endpoints() -> Any:
        return httpx.get(f"{control.addresses['data_admin_url']}/debug/state", trust_env=False).json()["endpoints"]

    until(lambda: "risk" in endpoints(), "the champion is served", seconds=30)
    for column, words in (("city", "expected a feature"), ("amount", "is a float")):
        answer = control.http.put("/rollouts", json=document(bundles[1], by(column)))
        assert (answer.status_code, answer.json()["code"]) == (409, "rollout_refused")
        assert f"spec.guardrails[0].by (declines): {words}"[:30] in answer.json()["error"]
        assert words in answer.json()["error"]
    bodies = [
        request(
            "/v1/endpoints/risk:predict",
            json.dumps({"records": [{"amount": n % 199 + 0.5, "region": REGIONS[n % 12], "card": f"c{n}"}]}).encode(),
        )
        for n in range(12_000)
    ]
    host, _, port = control.addresses["data_url"].removeprefix("http://").rpartition(":")
    with Traffic((host, int(port)), bodies, connections=4) as traffic:
        answer = control.http.put("/rollouts", json=document(bundles[1], by("region")))
        assert answer.status_code == 200, answer.text
        routing = answer.json()["view"]["state"]["routing"]
        assert (routing["slices"], routing["matched"]) == (["region"], True)

        def ended() -> Any:
            shown = control.get("/rollouts/next")
            return shown if shown["state"]["phase"] not in ("progressing", "paused") else None

        shown = until(ended, f"it is rolled back; {control.get('/rollouts/next')['state']}", seconds=120, every=0.2)
        traffic.stop()
    assert shown["state"]["phase"] == "rolled_back"
    [last] = [one for one in control.get("/rollouts/next/events")["events"] if one["kind"] == "rollout.rolled_back"]
    decision = last["evidence"]["decision"]
    assert (last["verdict"], decision["reason"]) == ("fail", "harm is shown: declines (region=R3)")
    [guardrail] = decision["assessments"]["guardrails"]
    assert [one["value"] for one in guardrail["slices"] if one["harmful"]] == ["R3"]
    assert len(guardrail["slices"]) == 12
    assert not decision["assessments"]["split_refuted"]
    champion, challenger = (decision["assessments"][f"{arm}_units"] for arm in ("champion", "challenger"))
    assert 0.5 < challenger / champion < 2, "as many as the challenger's, not all the rest"
