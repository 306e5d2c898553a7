"""Rollouts that run by themselves: a simulated data plane counts, the loop decides."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.errors import ControlError
from fairlead.rollout.replay import replay
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import RolloutDecision, RolloutState
from tests.serverkit.bundles import sha256_of, signature, small_bundle
from tests.serverkit.control import ControlPlane
from tests.serverkit.rollouts import rollout
from tests.serverkit.simulated import Behaviour, SimulatedPlane
from tests.serverkit.waiting import until

_NAMES = (f"r{number}" for number in itertools.count(1))
RATE = {"name": "errors", "kind": "rate", "margin": {"ratio": 2}}
GUARDRAILS = [
    RATE,
    {"name": "p99", "kind": "quantile", "q": 0.99, "margin": {"abs": 100}},
    {"name": "scores", "kind": "distribution"},
]
PROVEN = {"analysis": {"until": {"proven": ["errors", "p99"], "minUnits": 1_000}, "timeout": "10m"}}
RAMP: list[dict[str, Any]] = [{"setWeight": 10}, {"pause": {"duration": "1s"}}, {"setWeight": 50}, PROVEN]


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return next(_NAMES)


ALPHA = 0.001
"""How often a good challenger is rolled back: no test should be."""


def stage(control: ControlPlane, folder: Path, name: str, **fields: Any) -> tuple[str, str]:
    """An endpoint with a champion (1), and a bundle that may become its challenger (2)."""
    digests = []
    for model, more in ((b"one", {}), (b"two", fields)):
        bundle = small_bundle(folder / "bundles", name, model, **more)
        with control.client() as client:
            client.push(bundle)
        digests.append(sha256_of(bundle))
    control.http.put(f"/endpoints/{name}", json={"unit_key": "card"}).raise_for_status()
    control.http.put(f"/endpoints/{name}/roles/champion", json={"sha256": digests[0]}).raise_for_status()
    return digests[0], digests[1]


def document(name: str, *steps: dict[str, Any], **spec: Any) -> dict[str, Any]:
    made = rollout(*(steps or RAMP), endpoint=name, **({"guardrails": GUARDRAILS, "alpha": ALPHA} | spec))
    wanted: dict[str, Any] = made.model_dump(mode="json")
    wanted["metadata"]["name"] = f"{name}-rollout"
    return wanted


def apply(control: ControlPlane, wanted: dict[str, Any]) -> Any:
    answer = control.http.put("/rollouts", json=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(control: ControlPlane, name: str) -> Any:
    return control.get(f"/rollouts/{name}-rollout")


def phase(control: ControlPlane, name: str) -> str:
    return str(shown(control, name)["state"]["phase"])


def fly(control: ControlPlane, plane: SimulatedPlane, name: str, done: Callable[[], Any], units: int = 2_000) -> Any:
    def breathe() -> Any:
        plane.live(units)
        return done()

    what = f"{name} to be done; {shown(control, name)['state']['last']}"
    return until(breathe, what, seconds=60, every=0.2)


def ended(control: ControlPlane, name: str) -> Callable[[], bool]:
    return lambda: phase(control, name) not in ("progressing", "paused")


def roles(control: ControlPlane, name: str) -> dict[str, str]:
    return {one["version"]: one["role"] for one in control.get(f"/endpoints/{name}/roles")}


def events(control: ControlPlane, name: str) -> list[Any]:
    found: list[Any] = control.get(f"/rollouts/{name}-rollout/events", limit=1_000)["events"]
    return found


def replays(recorded: list[Any]) -> int:
    """Every decision of the engine follows from its record alone."""
    count = 0
    for event in recorded:
        kept = event["evidence"]
        said = RolloutDecision.model_validate(kept["decision"])
        if said.evidence is not None:
            before = RolloutState.model_validate(kept["before"])
            assert replay(Rollout.model_validate(kept["rollout"]), before, said) == said
            count += 1
    return count


@pytest.mark.timeout(90)
@pytest.mark.parametrize("compared", ["all", "matched"])
def test_a_good_challenger_is_promoted_by_itself(
    control: ControlPlane, tmp_path: Path, name: str, compared: str
) -> None:
    stage(control, tmp_path, name)
    plane = SimulatedPlane(control.http, name)
    plane.live(500)
    applied = apply(control, document(name, control=compared))
    assert (applied["change"], applied["dry_run"]) == ("created", False)
    plane.follow()
    assert plane.told("challenger", "share") == ("2", 0.1)
    assert plane.endpoint is not None
    assert {one.version: one.role.value for one in plane.endpoint.variants} == {"1": "champion", "2": "challenger"}
    fly(control, plane, name, ended(control, name), units=4_000)
    assert phase(control, name) == "promoted"
    assert roles(control, name) == {"1": "archived", "2": "champion"}
    plane.follow()
    assert plane.told("share") is None
    recorded = events(control, name)
    assert recorded[0]["kind"] == "rollout.promoted"
    assert recorded[0]["verdict"] == "pass"
    assert recorded[-1]["kind"] == "rollout.started"
    assert replays(recorded) >= 5
    advanced = next(one["evidence"]["decision"] for one in recorded if one["kind"] == "rollout.advanced")
    theirs, mine = (advanced["evidence"]["epochs"][1][arm]["units"] for arm in ("champion", "challenger"))
    assert (theirs > 5 * mine) == (compared == "all"), "at a tenth of all units"
    moves = control.get(f"/endpoints/{name}/history")
    assert moves[0]["actor"] == "control"


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    ("guardrail", "behaviour"),
    [
        ("errors", Behaviour(errors=0.06)),
        ("p99", Behaviour(slow=0.05)),
        ("scores", Behaviour(shift=1)),
    ],
)
def test_a_bad_challenger_is_rolled_back_by_itself(
    control: ControlPlane, tmp_path: Path, name: str, guardrail: str, behaviour: Behaviour
) -> None:
    stage(control, tmp_path, name)
    plane = SimulatedPlane(control.http, name, {"2": behaviour})
    plane.live(500)
    apply(control, document(name))
    fly(control, plane, name, ended(control, name))
    assert phase(control, name) == "rolled_back"
    assert roles(control, name) == {"1": "champion", "2": "archived"}
    [last] = [event for event in events(control, name) if event["kind"] == "rollout.rolled_back"]
    assert (last["verdict"], last["evidence"]["decision"]["reason"]) == ("fail", f"harm is shown: {guardrail}")
    assert replays(events(control, name)) >= 1


@pytest.mark.timeout(90)
def test_a_broken_split_holds_and_says_so(control: ControlPlane, tmp_path: Path, name: str) -> None:
    stage(control, tmp_path, name)
    plane = SimulatedPlane(control.http, name, broken_split=True)
    plane.live(500)
    apply(control, document(name, {"setWeight": 50}, {"pause": {}}, guardrails=[RATE]))
    fly(control, plane, name, lambda: phase(control, name) == "held")
    assert events(control, name)[0]["verdict"] == "error"
    with control.client() as client, pytest.raises(ControlError, match="split") as caught:
        client.post(f"/rollouts/{name}-rollout/resume", {})
    assert caught.value.code == "rollout_refused"
    control.http.post(f"/rollouts/{name}-rollout/abort", json={"reason": "router"}).raise_for_status()
    assert phase(control, name) == "rolled_back"


@pytest.mark.timeout(90)
def test_a_cohort_by_regions_and_a_shadow(control: ControlPlane, tmp_path: Path, name: str) -> None:
    stage(control, tmp_path, name)
    near = SimulatedPlane(control.http, name, name=f"near-{name}", region="eu")
    far = SimulatedPlane(control.http, name, name=f"far-{name}", region="us")
    for plane in (near, far):
        plane.live(2_000)
    steps: list[dict[str, Any]] = [
        {"shadow": {"percent": 100}},
        {"pause": {"duration": "1s"}},
        {"shadow": {"percent": 0}},
        {"setRegions": ["eu"]},
        {"setCohort": {"maxUnits": 1_000}},
        {"analysis": {"until": {"minUnits": 500}}},
        {"pause": {}},
    ]
    apply(control, document(name, *steps))

    def paused() -> bool:
        far.live(200)
        return phase(control, name) == "paused"

    fly(control, near, name, paused, units=400)
    state = shown(control, name)
    assert state["state"]["cohort"]["max_units"] == 1_000
    assert 500 <= state["evidence"]["challenger_units"] < 1_500
    assert state["state"]["routing"]["regions"] == ["eu"]
    assert not state["assessments"]["split_refuted"]
    control.http.post(f"/rollouts/{name}-rollout/abort", json={}).raise_for_status()


def test_applying_again_changes_nothing_and_a_dry_run_too(control: ControlPlane, tmp_path: Path, name: str) -> None:
    stage(control, tmp_path, name)
    wanted = document(name)
    generation = control.get("/health")["generation"]
    tried = control.http.put("/rollouts", params={"dry_run": True}, json=wanted).json()
    assert (tried["change"], tried["dry_run"], tried["view"]["state"]["step"]) == ("created", True, 0)
    assert control.http.get(f"/rollouts/{name}-rollout").status_code == 404
    assert roles(control, name) == {"1": "champion"}
    assert control.get("/health")["generation"] == generation
    assert apply(control, wanted)["change"] == "created"
    again = apply(control, wanted)
    assert (again["change"], again["differences"]) == ("unchanged", [])
    other = document(name, {"setWeight": 20})
    answer = control.http.put("/rollouts", json=other)
    assert (answer.status_code, answer.json()["code"]) == (409, "rollout_active")
    control.http.post(f"/rollouts/{name}-rollout/abort", json={}).raise_for_status()
    started = apply(control, other)
    assert started["change"] == "started"
    assert any("steps" in one["field"] for one in started["differences"])
    assert started["view"]["state"]["run"] == 2
    first = started["view"]["state"]["allocations"][0]["epoch"]
    assert first == 3  # the first run has used 1 and 2
    control.http.post(f"/rollouts/{name}-rollout/abort", json={}).raise_for_status()
    restarted = control.http.post(f"/rollouts/{name}-rollout/start", json={}).json()
    assert restarted["state"]["run"] == 3
    assert restarted["state"]["routing"]["salt"] != started["view"]["state"]["routing"]["salt"]


def test_what_would_come_between_is_refused(control: ControlPlane, tmp_path: Path, name: str) -> None:
    _, second = stage(control, tmp_path, name)
    apply(control, document(name))
    other = document(name)
    other["metadata"]["name"] = f"{name}-other"
    for answer in (
        control.http.put("/rollouts", json=other),
        control.http.put(f"/endpoints/{name}/roles/champion", json={"sha256": second}),
        control.http.put(f"/endpoints/{name}/roles/shadow", json={"sha256": second}),
        control.http.put(f"/endpoints/{name}", json={"unit_key": "customer"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "rollout_active"), answer.text
    control.http.put(f"/endpoints/{name}", json={"unit_key": "card", "deadline_ms": 77}).raise_for_status()
    assert roles(control, name) == {"1": "champion", "2": "challenger"}


def test_another_signature_is_refused_before_any_traffic(control: ControlPlane, tmp_path: Path, name: str) -> None:
    stage(control, tmp_path, name, wanted=signature("amount", "age"))
    answer = control.http.put("/rollouts", json=document(name))
    assert (answer.status_code, answer.json()["code"]) == (409, "signature_incompatible")
    assert roles(control, name) == {"1": "champion"}
    assert control.http.get(f"/rollouts/{name}-rollout").status_code == 404


def test_unknown_names_are_told(control: ControlPlane, tmp_path: Path, name: str) -> None:
    stage(control, tmp_path, name)
    absent = control.http.get("/rollouts/nothing")
    assert (absent.status_code, absent.json()["code"]) == (404, "rollout_unknown")
    third = control.http.put("/rollouts", json=document(name, challenger={"version": "3"}))
    assert (third.status_code, third.json()["code"]) == (404, "bundle_unknown")
    wrong = document(name)
    wrong["spec"]["strategy"]["canary"]["steps"][0] = {"setWeight": 5, "pause": {}}
    answer = control.http.put("/rollouts", json=wrong)
    assert answer.status_code == 422
    assert "exactly one of setWeight" in answer.json()["error"]


@pytest.mark.timeout(60)
def test_blue_green_swaps_and_swaps_back(control: ControlPlane, tmp_path: Path, name: str) -> None:
    stage(control, tmp_path, name)
    plane = SimulatedPlane(control.http, name)
    plane.live(10)
    apply(control, document(name, strategy={"blueGreen": {"previewSeconds": 0}}, guardrails=[]))
    fly(control, plane, name, lambda: phase(control, name) == "paused", units=10)
    assert plane.told("share", "challenger", "override") == (0.0, "2", True)
    control.http.post(f"/rollouts/{name}-rollout/promote", json={"reason": "looks well"}).raise_for_status()
    assert roles(control, name) == {"1": "challenger", "2": "champion"}
    control.http.post(f"/rollouts/{name}-rollout/undo", json={"reason": "it did not"}).raise_for_status()
    assert roles(control, name) == {"1": "champion", "2": "archived"}
    assert phase(control, name) == "undone"
    again = control.http.post(f"/rollouts/{name}-rollout/undo", json={})
    assert (again.status_code, again.json()["code"]) == (409, "rollout_refused")


@pytest.mark.timeout(60)
def test_people_pause_resume_approve(control: ControlPlane, tmp_path: Path, name: str) -> None:
    stage(control, tmp_path, name)
    plane = SimulatedPlane(control.http, name)
    plane.live(10)
    apply(control, document(name, {"setWeight": 10}, {"approve": {}}, {"setWeight": 20}, guardrails=[]))
    post = f"/rollouts/{name}-rollout"
    fly(control, plane, name, lambda: shown(control, name)["state"]["step"] == 1, units=100)
    assert control.http.post(f"{post}/pause", json={}).json()["state"]["phase"] == "paused"
    assert control.http.post(f"{post}/resume", json={}).json()["state"]["phase"] == "progressing"
    promoted = control.http.post(f"{post}/promote", json={})
    assert (promoted.status_code, promoted.json()["code"]) == (409, "rollout_refused")
    approved = control.http.post(f"{post}/approve", json={"reason": "seen"}).json()
    assert approved["state"]["approvals"][0]["actor"] == "local"
    fly(control, plane, name, ended(control, name), units=100)
    assert phase(control, name) == "promoted"
    first = next(one["sha256"] for one in control.get(f"/endpoints/{name}/roles") if one["version"] == "1")
    control.http.put(f"/endpoints/{name}/roles/champion", json={"sha256": first}).raise_for_status()
    undone = control.http.post(f"{post}/undo", json={})
    assert (undone.status_code, undone.json()["code"]) == (409, "rollout_refused")


def test_a_plan_says_what_can_be_shown(control: ControlPlane, tmp_path: Path, name: str) -> None:
    stage(control, tmp_path, name)
    wanted = document(name, {"setCohort": {"maxUnits": 1_000}})
    plan = control.http.post("/rollouts/plan", params={"base_rate": 0.01, "units_per_hour": 500}, json=wanted).json()
    [rate] = plan["guardrails"]
    assert (plan["cohort"], rate["name"], rate["base_rate_from"]) == (1_000, "errors", "asked")
    assert 2.5 < rate["detectable_ratio"] < 5
    assert rate["safe_power"] < 0.3
    assert [need["ratio"] for need in rate["harm"]] == [1.5, 2.0, 3.0, 5.0]
    assert any("p99" in remark for remark in plan["remarks"])
