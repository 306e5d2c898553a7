"""Rollouts when the control plane dies at every step, when telemetry lies, when the database is away."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.control import Settings
from fairlead.control.app import build
from fairlead.control.context import Control
from fairlead.control.leader import NAME
from fairlead.control.rollouts.act import act
from fairlead.control.rollouts.loop import Pilot
from fairlead.errors import ControlError
from fairlead.registry import Actor
from fairlead.schema.control import KeyRole
from fairlead.schema.rollout_state import Phase, RolloutCommand, RolloutState
from fairlead.store.state import decisions, leases, roles, rollouts, snapshots, webhooks
from fairlead.store.state.leases import Lease
from tests.serverkit.bundles import sha256_of, small_bundle
from tests.serverkit.control import ControlPlane
from tests.serverkit.postgres import Postgres, wait_until_gone
from tests.serverkit.rollouts import ERRORS, rollout
from tests.serverkit.simulated import SimulatedPlane
from tests.serverkit.waiting import until

StartControl = Callable[..., ControlPlane]
ROLLOUT = "/rollouts/fraud-2"
FAST = ("--lease", "0.5")
PROVEN: dict[str, Any] = {"analysis": {"until": {"proven": ["errors"]}}}
STEPS: list[dict[str, Any]] = [
    {"setWeight": 10},
    {"pause": {"duration": "1s"}},
    {"setWeight": 30},
    {"analysis": {"until": {"minUnits": 300}}},
    {"setWeight": 50},
    PROVEN,
]


def staged(control: ControlPlane, folder: Path, *steps: dict[str, Any]) -> SimulatedPlane:
    """A rollout from version 1 to 2 on `fraud`, and a replica that has reported."""
    digests = []
    for model in (b"one", b"two"):
        bundle = small_bundle(folder / "bundles", "fraud", model)
        with control.client() as client:
            client.push(bundle)
        digests.append(sha256_of(bundle))
    control.http.put("/endpoints/fraud", json={"unit_key": "card"}).raise_for_status()
    control.http.put("/endpoints/fraud/roles/champion", json={"sha256": digests[0]}).raise_for_status()
    plane = SimulatedPlane(control.http, "fraud")
    plane.live(200)
    margin = {**ERRORS, "margin": {"ratio": 2}}
    wanted = rollout(*(steps or STEPS), guardrails=[margin]).model_dump(mode="json")
    answer = control.http.put("/rollouts", json=wanted)
    assert answer.status_code == 200, answer.text
    return plane


def state(control: ControlPlane) -> RolloutState:
    return RolloutState.model_validate(control.get(ROLLOUT)["state"])


@pytest.mark.timeout(120)
def test_a_control_plane_that_is_killed_at_every_step_goes_on_where_it_was(
    start_control: StartControl, tmp_path: Path
) -> None:
    control = start_control(*FAST)
    plane = staged(control, tmp_path)
    seen: list[int] = []
    while True:

        def news(known: tuple[int, ...] = tuple(seen), running: ControlPlane = control) -> RolloutState | None:
            plane.live(1_500)
            now = state(running)
            return now if now.step not in known or now.phase.ended else None

        now = until(news, f"a step after {seen}", seconds=40, every=0.1)
        assert now is not None
        if now.phase.ended:
            break
        seen.append(now.step)
        control.process.send_signal(signal.SIGKILL)
        control.process.wait()
        control.close()
        control = start_control(*FAST)
        plane._http = control.http
        again = state(control)
        assert again.started_us == now.started_us
        assert again.step - now.step in (0, 1)
    assert now.phase.value == "promoted"
    assert seen == sorted(set(seen))
    assert [one.epoch for one in now.allocations] == [1, 2, 3, 4]
    events = control.get(f"{ROLLOUT}/events", limit=1_000)["events"]
    advanced = [one["evidence"]["decision"]["step"] for one in events if one["kind"] == "rollout.advanced"]
    assert advanced == [5, 4, 3, 2, 1, 0]  # each step was left once
    assert [one["kind"] for one in events].count("rollout.promoted") == 1
    assert [one["role"] for one in control.get("/endpoints/fraud/roles") if one["version"] == "2"] == ["champion"]


class Pulled(Exception):  # noqa: N818 - no error of anybody
    """The process is gone."""


PLACES: list[tuple[Any, str]] = [
    (rollouts, "save"),
    (decisions, "record"),
    (roles, "move"),
    (snapshots, "publish"),
    (webhooks, "announce"),
]


@pytest.fixture
def stopped(start_control: StartControl, tmp_path: Path) -> Control:
    """A rollout that is about to be promoted, and a control plane of this process that will do it."""
    running = start_control(*FAST)
    plane = staged(running, tmp_path, {"setWeight": 50}, {"pause": {}})
    until(lambda: state(running).phase.value == "paused", "it pauses", seconds=20)
    plane.live(200)
    assert running.stop() == 0
    folder = running.folder / "data"
    control = build(Settings(database_url=f"sqlite:///{folder / 'control.db'}", bundles=str(folder / "bundles")))
    with control.database.change() as transaction:
        stored = rollouts.get(transaction, "fraud-2")
        assert stored is not None
        done = stored.state.model_copy(update={"phase": Phase.PROGRESSING, "step": 2})
        assert rollouts.save(transaction, "fraud-2", stored.revision, done)
    return control


def everything(control: Control) -> tuple[Any, ...]:
    with control.database.read() as transaction:
        return (
            rollouts.get(transaction, "fraud-2"),
            roles.listed(transaction, "fraud"),
            roles.history(transaction, "fraud"),
            decisions.listed(transaction),
            snapshots.newest(transaction),
        )


def lease(control: Control) -> Lease:
    with control.database.write() as transaction:
        found = leases.acquire(transaction, NAME, "test", 60)
    assert found is not None
    return found


@pytest.mark.timeout(60)
def test_a_promotion_that_breaks_off_anywhere_has_not_happened(
    stopped: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, before = lease(stopped), everything(stopped)
    for module, name in PLACES:
        with monkeypatch.context() as patch:

            def pull(*_: Any, **__: Any) -> None:
                raise Pulled

            patch.setattr(module, name, pull)
            with pytest.raises(Pulled):
                Pilot(stopped).tick(held)
        assert everything(stopped) == before, name
    Pilot(stopped).tick(held)
    stored, holders, *_ = everything(stopped)
    assert stored.state.phase.value == "promoted"
    assert {one.version: one.role.value for one in holders} == {"1": "archived", "2": "champion"}
    after = everything(stopped)
    Pilot(stopped).tick(held)
    assert everything(stopped) == after
    stopped.database.close()


@pytest.mark.timeout(60)
def test_a_person_who_was_faster_than_the_loop_is_not_overwritten(stopped: Control) -> None:
    held, pilot = lease(stopped), Pilot(stopped)
    [(stored, change)] = pilot._decided()
    assert change.decision.action.value == "promote"
    act(stopped, "fraud-2", RolloutCommand.ABORT, Actor("somebody", KeyRole.OPERATOR), "no")
    with pytest.raises(ControlError) as caught:
        pilot._commit(held, stored, change)
    assert caught.value.code == "rollout_moved"
    before = everything(stopped)
    pilot.tick(held)
    assert everything(stopped) == before
    assert before[0].state.phase.value == "rolled_back"
    stopped.database.close()


@pytest.mark.timeout(60)
def test_who_no_longer_leads_changes_nothing(stopped: Control) -> None:
    held, before = lease(stopped), everything(stopped)
    Pilot(stopped).tick(Lease(held.name, held.holder, held.term - 1))
    assert everything(stopped) == before
    stopped.database.close()


@pytest.mark.timeout(90)
def test_reports_that_come_twice_or_late_or_not_at_all(start_control: StartControl, tmp_path: Path) -> None:
    control = start_control(*FAST, "--stale", "1.5")
    plane = staged(control, tmp_path, {"setWeight": 50}, PROVEN)
    until(lambda: state(control).step == 1, "the first step is in force", seconds=20)
    plane.follow()
    plane.serve(300)
    old, new = plane.report(), None
    plane.serve(300)
    new = plane.report()
    assert plane.send(new)
    counted = control.get(ROLLOUT)["assessments"]
    assert counted["champion_units"] + counted["challenger_units"] == pytest.approx(600, abs=40)
    for again in (new, old, new):
        assert not plane.send(again)
    assert control.get(ROLLOUT)["assessments"] == counted

    def silent() -> bool:
        last = state(control).last
        return last is not None and last[1].value == "error" and last[2] == "a replica has fallen silent"

    until(silent, "silence is noticed", seconds=20)
    assert not plane.send(new)  # a replay does not count as life
    assert state(control).step == 1
    assert control.get(ROLLOUT)["evidence"]["replicas_reporting"] == 0
    # Even what would suffice is not believed while a replica is silent; then it comes back.
    until(lambda: plane.live(3_000) and state(control).phase.ended, "it is promoted", seconds=40, every=0.2)
    assert state(control).phase.value == "promoted"


@pytest.mark.timeout(120)
def test_a_rollout_outlives_its_database(start_control: StartControl, tmp_path: Path) -> None:
    server = Postgres()
    try:
        url = server.new_database()
        control = start_control(*FAST, database_url=url)
        plane = staged(control, tmp_path)
        until(lambda: plane.live(500) and state(control).step >= 2, "it is on its way", seconds=30, every=0.2)
        before = state(control)
        server.stop()
        wait_until_gone(url)
        answer = control.http.get(ROLLOUT)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert control.http.post(f"{ROLLOUT}/abort", json={}).status_code == 503
        server.start()

        def back() -> bool:
            try:
                plane.live(1_500)
            except httpx.HTTPStatusError:
                return False
            return state(control).phase.ended

        until(back, "it ends", seconds=60, every=0.3)
        after = state(control)
        assert (after.phase.value, after.started_us) == ("promoted", before.started_us)
        control.kill()
    finally:
        server.close()
