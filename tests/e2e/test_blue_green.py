"""Both planes, live traffic, and a blue/green rollout: asked by name first, then switched at once, and back as fast."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import httpx
import pytest

from tests.serverkit.control import ControlPlane
from tests.serverkit.delivery import PATH, address, applied, champion_now, command, document, loaded, requests, stage
from tests.serverkit.models import Workshop
from tests.serverkit.traffic import Exchange, Traffic
from tests.serverkit.waiting import until

pytestmark = pytest.mark.timeout(120)
StartControl = Callable[..., ControlPlane]
MANUAL = {"blueGreen": {"autoPromotion": False}}
ALONE = {"blueGreen": {"autoPromotion": True, "autoPromotionSeconds": "1s"}}


@pytest.fixture
def control(start_control: StartControl, models: Workshop) -> ControlPlane:
    """`binary` is the champion, and served."""
    running = start_control("--data-port", "0")
    stage(running, models.binary.bundle, models.successor.bundle)
    return running


@contextmanager
def traffic(control: ControlPlane, models: Workshop) -> Iterator[Traffic]:
    """Send live traffic; at the end no request may have failed."""
    with Traffic(address(control), requests(models.binary.records), connections=8) as flowing:
        flowing.wait_for(50)
        yield flowing
        flowing.wait_for(100)
    assert flowing.statuses() == {200: len(flowing.exchanges)}


def start(control: ControlPlane, models: Workshop, strategy: Mapping[str, object]) -> None:
    answer = control.http.put("/rollouts", json=document(models.successor.bundle, strategy))
    assert answer.status_code == 200, answer.text


def phase(control: ControlPlane) -> str:
    return str(control.get("/rollouts/next")["state"]["phase"])


def bundles(exchanges: list[Exchange]) -> set[str]:
    return {exchange.answer.json()["bundle"] for exchange in exchanges if exchange.answer is not None}


def asked(control: ControlPlane, models: Workshop, variant: str) -> str | None:
    """Return the bundle that answers who asks for a variant by name; None where nobody does."""
    answer = httpx.post(
        control.addresses["data_url"] + PATH,
        content=json.dumps({"records": [{**models.binary.records[0], "card": "tester"}]}),
        headers={"Fairlead-Variant": variant},
        trust_env=False,
    )
    told = answer.json()
    return str(told["bundle"]) if answer.status_code == 200 and told["variant"] == variant else None


def test_a_promotion_by_command_and_its_undo(control: ControlPlane, models: Workshop) -> None:
    old, new = models.binary.sha256, models.successor.sha256
    with traffic(control, models) as flowing:
        start(control, models, MANUAL)
        until(lambda: asked(control, models, "challenger") == new, "the preview answers", seconds=30)
        assert asked(control, models, "champion") == old
        until(lambda: phase(control) == "paused", "the preview waits for somebody", seconds=30)
        flowing.wait_for(50)
        assert bundles(flowing.exchanges) == {old}, "who does not ask for the preview does not get it"

        command(control, "promote")
        switched = applied(control, new)
        flowing.wait_for(200)
        assert loaded(control) == [new, old], "the former champion stays loaded"
        leaving = time.monotonic()
        command(control, "undo")
        back = applied(control, old)
        flowing.wait_for(200)
    assert bundles(flowing.between(switched, leaving)) == {new}
    assert bundles(flowing.between(back)) == {old}
    assert champion_now(control) == old
    assert phase(control) == "undone"


def test_a_promotion_by_itself(control: ControlPlane, models: Workshop) -> None:
    old, new = models.binary.sha256, models.successor.sha256
    with traffic(control, models) as flowing:
        start(control, models, ALONE)
        until(lambda: phase(control) == "promoted", "it promotes itself", seconds=30)
        switched = applied(control, new)
        flowing.wait_for(200)
    assert bundles(flowing.exchanges) == {old, new}
    assert bundles(flowing.between(switched)) == {new}
    assert champion_now(control) == new
    kinds = [one["kind"] for one in control.get("/rollouts/next/events")["events"]]
    assert kinds == ["rollout.promoted", "rollout.started"], "nobody was asked"
    until(lambda: generations(control) == {control.get("/snapshot")["generation"]}, "every replica reports it")


def generations(control: ControlPlane) -> set[int]:
    """Return what the replicas say that they have applied."""
    return {one["generation"] for one in control.get("/replicas") if not one["stale"]}
