"""Webhooks: told of what happened, signed, again where it fails."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest

from tests.serverkit.control import ControlPlane
from tests.serverkit.receiver import Receiver
from tests.serverkit.waiting import until


@pytest.mark.timeout(60)
def test_an_event_is_delivered_signed_and_again_until_it_is_taken(control: ControlPlane) -> None:
    until(control.leads, "it leads")
    with Receiver(statuses=[500]) as receiver:
        made = control.http.post("/webhooks", json={"url": receiver.url, "events": ["endpoint.changed"]}).json()
        number, secret = made["record"]["id"], made["secret"]
        assert secret not in str(control.get("/webhooks"))
        control.http.put("/endpoints/told", json={"unit_key": "card"}).raise_for_status()
        first, second = until(lambda: receiver.received[1:] and receiver.received, "it is told twice", seconds=20)[:2]
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        for one in (first, second):
            stamp = one.headers["webhook-timestamp"]
            assert abs(int(stamp) - time.time()) < 60
            message = f"{one.headers['webhook-id']}.{stamp}.{one.body}".encode()
            key = base64.b64decode(secret.removeprefix("whsec_"))
            wanted = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
            assert one.headers["webhook-signature"] == f"v1,{wanted}"
        assert "fairlead-source" not in first.headers, "without a public address none is told"
        assert first.event["type"] == "endpoint.changed"
        assert first.event["data"]["after"]["unit_key"] == "card"
        path = f"/webhooks/{number}/deliveries"
        [delivery] = until(lambda: [d for d in control.get(path) if d["state"] == "delivered"], "it is noted")
        assert (delivery["attempts"], delivery["last_error"]) == (2, None)
        control.http.put("/endpoints/told", json={"unit_key": "card"}).raise_for_status()
        assert len(control.get(path)) == 1, "what changes nothing is told to nobody"
        assert control.http.delete(f"/webhooks/{number}").status_code == 204


@pytest.mark.timeout(60)
def test_a_target_that_is_not_there_is_tried_again_later(control: ControlPlane) -> None:
    until(control.leads, "it leads")
    made = control.http.post("/webhooks", json={"url": "http://127.0.0.1:1/"}).json()
    control.http.put("/endpoints/unheard", json={}).raise_for_status()
    path = f"/webhooks/{made['record']['id']}/deliveries"
    delivery = until(lambda: [d for d in control.get(path) if d["attempts"]], "an attempt is made")[0]
    assert delivery["state"] == "pending"
    assert delivery["next_us"] > delivery["created_us"]
    assert "Connect" in delivery["last_error"]
    control.http.delete(f"/webhooks/{made['record']['id']}")


@pytest.mark.timeout(60)
def test_a_replica_that_goes_silent_is_shown_as_stale_and_told_once(tmp_path, start_control) -> None:  # type: ignore[no-untyped-def]
    control = start_control("--stale", "1", "--public-url", "http://localhost:1")
    until(control.leads, "it leads")
    with Receiver() as receiver:
        control.http.post("/webhooks", json={"url": receiver.url, "events": ["replica.stale"]}).raise_for_status()
        report = {"replica": "r", "incarnation": 1, "sequence": 1, "generation": 1, "time_us": 1}
        control.http.post("/telemetry", json=report).raise_for_status()
        assert control.get("/replicas")[0]["stale"] is False
        until(lambda: receiver.received, "it is told", seconds=20)
        assert receiver.received[0].event["data"] == {"replica": "r"}
        assert receiver.received[0].headers["fairlead-source"] == "http://localhost:1"
        assert control.get("/replicas")[0]["stale"] is True
        [decision] = control.get("/decisions", kind="replica.stale")
        assert (decision["verdict"], decision["actor"]) == ("error", "control")
