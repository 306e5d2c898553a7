"""A hundred blue/green switches in a row, through the control plane, under load."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.serverkit.control import ControlPlane
from tests.serverkit.delivery import (
    PATH,
    address,
    applied,
    champion_now,
    command,
    document,
    loaded,
    serving_process,
    stage,
)
from tests.serverkit.models import Workshop
from tests.serverkit.processes import Processes
from tests.serverkit.traffic import Exchange, Traffic
from tests.serverkit.wire import request

StartControl = Callable[..., ControlPlane]
ROUNDS = 50
"""Of two switches each: there and back."""
WARM_UP = 10
GROWTH_MB = 40
RECORDS = 16


@pytest.mark.timeout(120)
def test_a_hundred_switches_fail_no_request(start_control: StartControl, models: Workshop) -> None:
    control = start_control("--data-port", "0")
    pair = (models.binary, models.successor)
    stage(control, *(model.bundle for model in pair))
    records = models.binary.records[:RECORDS]
    scores = {model.sha256: model.scores(records) for model in pair}
    assert scores[pair[0].sha256] != scores[pair[1].sha256]
    bodies = [
        request(PATH, json.dumps({"records": [{**record, "card": f"card-{number}"}]}).encode())
        for number, record in enumerate(records)
    ]
    wanted = document(models.successor.bundle, {"blueGreen": {}})
    control.http.put("/rollouts", json=wanted).raise_for_status()
    processes = [Processes(control.process.pid), Processes(serving_process(control))]
    memory: list[float] = []
    with Traffic(address(control), bodies, connections=4) as traffic:
        for number in range(ROUNDS):
            if number == WARM_UP:
                memory = [process.memory_mb() for process in processes]
            if number > 0:
                command(control, "start")
            for what, champion in (("promote", pair[1].sha256), ("undo", pair[0].sha256)):
                command(control, what)
                began = applied(control, champion)
                traffic.wait_for(5)
                assert {answered_by(one) for one in traffic.between(began)} == {champion}
        traffic.wait_for(100)
    assert traffic.statuses() == {200: len(traffic.exchanges)}
    for exchange in traffic.exchanges:
        assert exchange.answer is not None
        [prediction] = exchange.answer.json()["predictions"]
        assert prediction["score"] == pytest.approx(scores[answered_by(exchange)][exchange.request], abs=1e-6)
    for process, before in zip(processes, memory, strict=True):
        assert process.memory_mb() < before + GROWTH_MB
    assert champion_now(control) == pair[0].sha256
    shown = control.get("/rollouts/next")["state"]
    assert (shown["phase"], shown["run"]) == ("undone", ROUNDS)
    assert loaded(control) == [pair[0].sha256], "who was undone is no longer loaded"


def answered_by(exchange: Exchange) -> str:
    """Return the sha256 of the bundle that answered."""
    assert exchange.answer is not None
    return str(exchange.answer.json()["bundle"])
