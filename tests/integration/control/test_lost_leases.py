"""Whoever loses the lease in the middle of a duty writes nothing more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from fairlead.control.app import build
from fairlead.control.delivery import Courier
from fairlead.control.rollouts.loop import Pilot
from fairlead.control.settings import Settings
from fairlead.control.watch import StaleWatch
from fairlead.schema.control import DeliveryState, WebhookRequest
from fairlead.schema.registry import EndpointSettings
from fairlead.schema.rollout_state import RolloutState
from fairlead.schema.telemetry import Telemetry
from fairlead.store.state import Database, decisions, endpoints, leases, replicas, rollouts, webhooks
from fairlead.store.state.leases import Lease
from tests.serverkit.rollouts import begun, rollout


def lead(database: Database) -> Lease:
    with database.write() as transaction:
        lease = leases.acquire(transaction, "leader", "first", 60.0)
    assert lease is not None
    return lease


def lose(database: Database, lease: Lease) -> None:
    with database.write() as transaction:
        leases.release(transaction, lease)
        assert leases.acquire(transaction, "leader", "second", 60.0) is not None


def test_a_delivery_is_not_noted(database: Database) -> None:
    lease = lead(database)
    with database.write() as transaction:
        hook = webhooks.add(transaction, WebhookRequest(url="http://hook/"), "whsec_" + "A" * 44, "me").id
        webhooks.announce(transaction, "role.moved", {})
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        lose(database, lease)
        return httpx.Response(204)

    async def deliver() -> None:
        courier = Courier(database, transport=httpx.MockTransport(answer))
        await courier.deliver_due(lease)
        await courier.deliver_due(lease)
        await courier.close()

    asyncio.run(deliver())
    assert asked == ["http://hook/"]
    with database.read() as transaction:
        [delivery] = webhooks.deliveries(transaction, hook)
    assert (delivery.state, delivery.attempts) == (DeliveryState.PENDING, 0)


def test_a_silent_replica_is_not_marked(database: Database) -> None:
    lease = lead(database)
    with database.write() as transaction:
        replicas.seen(transaction, Telemetry(replica="r", incarnation=1, sequence=1, generation=1, time_us=1))
    lose(database, lease)
    asyncio.run(StaleWatch(database, -1).mark(lease))
    with database.read() as transaction:
        assert decisions.listed(transaction) == []


def test_a_rollout_is_not_moved(database: Database, database_url: str, tmp_path: Path) -> None:
    lease = lead(database)
    document = rollout({"setWeight": 50})  # nobody reports, and that is news
    with database.change() as transaction:
        endpoints.put(transaction, "fraud", EndpointSettings(), "me")
        rollouts.begin(transaction, document, begun(document), "me")
    control = build(Settings(database_url=database_url, bundles=str(tmp_path / "bundles")))

    def state() -> RolloutState:
        with database.read() as transaction:
            stored = rollouts.get(transaction, document.name)
        assert stored is not None
        return stored.state

    before = state()
    lose(database, lease)
    Pilot(control).tick(lease)
    assert state() == before
    with database.write() as transaction:
        second = leases.acquire(transaction, "leader", "second", 60.0)
    assert second is not None
    Pilot(control).tick(second)
    assert state() != before
    control.database.close()
