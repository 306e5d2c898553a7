"""What grows by itself is bounded; what a running rollout counts on stays, and so does every decision."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from fairlead.control.retention import KEPT_SNAPSHOTS, KEPT_US, Pruner
from fairlead.control.rollouts.look import FORGOTTEN_US
from fairlead.schema.control import DeliveryState, WebhookRequest
from fairlead.schema.registry import EndpointSettings, Verdict
from fairlead.schema.snapshot import Role, Snapshot
from fairlead.schema.telemetry import ArmCounts, EndpointTelemetry, Telemetry, merge
from fairlead.store.state import (
    Database,
    decisions,
    endpoints,
    leases,
    replicas,
    rollouts,
    snapshots,
    telemetry,
    webhooks,
)
from fairlead.store.state.decisions import Decision
from tests.serverkit.rollouts import begun, rollout
from tests.serverkit.state import StartControl
from tests.serverkit.waiting import until

SECOND = 1_000_000


def report(replica: str, incarnation: int, requests: int, *, region: str = "eu", endpoint: str = "fraud") -> Telemetry:
    arms = [
        ArmCounts(version=version, role=role, epoch=incarnation % 2, requests=requests)
        for version, role in (("1", Role.CHAMPION), ("2", Role.CHALLENGER))
    ]
    return Telemetry(
        replica=replica,
        incarnation=incarnation,
        sequence=requests,
        generation=1,
        region=region,
        time_us=1,
        endpoints=[EndpointTelemetry(name=endpoint, arms=arms)],
    )


def receive(database: Database, *reports: Telemetry) -> list[bool]:
    with database.write() as transaction:
        accepted = [telemetry.receive(transaction, one) for one in reports]
        for one in reports:
            replicas.seen(transaction, one)
    return accepted


def pass_time(database: Database, microseconds: int) -> None:
    """Make everything that is kept so much older."""
    columns = {"telemetry": "received_us", "replicas": "last_seen_us", "outbox": "created_us"}
    with database.write() as transaction:
        for table, column in columns.items():
            transaction.session.execute(text(f"UPDATE {table} SET {column} = {column} - {microseconds}"))
        replicas.mark_stale(transaction, 15 * SECOND)


def prune(database: Database) -> None:
    with database.write() as transaction:
        lease = leases.acquire(transaction, "leader", "me", 60.0)
    assert lease is not None
    asyncio.run(Pruner(database).prune(lease))


def lives(database: Database) -> list[tuple[str, int]]:
    with database.read() as transaction:
        rows = transaction.session.execute(text("SELECT replica, incarnation FROM telemetry ORDER BY 1, 2"))
        return [(row[0], row[1]) for row in rows]


def total(database: Database) -> list[EndpointTelemetry]:
    with database.read() as transaction:
        return merge(one.endpoints for one in telemetry.newest(transaction))


def names(database: Database) -> list[str]:
    with database.read() as transaction:
        return [one.replica for one in replicas.listed(transaction, 15 * SECOND)]


def run_a_rollout(database: Database, endpoint: str) -> None:
    with database.change() as transaction:
        endpoints.put(transaction, endpoint, EndpointSettings(), "me")
        document = rollout(endpoint=endpoint)
        rollouts.begin(transaction, document, begun(document), "me")


def test_lives_that_ended_become_one_row_and_nothing_of_what_they_counted_is_lost(database: Database) -> None:
    run_a_rollout(database, "fraud")
    receive(database, *(report("a", life, life) for life in range(1, 30)), report("b", 7, 7))
    before = total(database)
    pass_time(database, FORGOTTEN_US + SECOND)
    receive(database, report("a", 30, 1))
    prune(database)
    assert lives(database) == [("a", 29), ("a", 30), ("b", 7)]
    assert total(database) == merge([before, report("a", 30, 1).endpoints])
    # What was added up is not added again, however late it comes.
    assert receive(database, report("a", 3, 3), report("a", 29, 99), report("a", 30, 2)) == [False, False, True]
    pass_time(database, FORGOTTEN_US + SECOND)
    receive(database, report("a", 31, 5))
    prune(database)
    prune(database)
    assert lives(database) == [("a", 30), ("a", 31), ("b", 7)]
    assert total(database) == merge([before, report("a", 30, 2).endpoints, report("a", 31, 5).endpoints])


def test_lives_that_may_go_on_and_lives_in_other_regions_are_not_added_up(database: Database) -> None:
    receive(database, report("a", 1, 1), report("a", 2, 2, region="us"), report("a", 3, 3), report("b", 1, 1))
    prune(database)
    assert len(lives(database)) == 4, "they were heard of just now"
    pass_time(database, FORGOTTEN_US + SECOND)
    receive(database, report("a", 4, 4))
    prune(database)
    assert lives(database) == [("a", 2), ("a", 3), ("a", 4), ("b", 1)]
    with database.read() as transaction:
        regions = {(one.region, one.endpoints[0].arms[0].epoch): one for one in telemetry.newest(transaction)}
        assert ("us", 0) in regions
    assert receive(database, report("b", 1, 9)) == [True], "the last life of a replica may go on"


def test_a_replica_long_gone_is_forgotten_but_not_while_a_rollout_counts_on_it(database: Database) -> None:
    run_a_rollout(database, "fraud")
    receive(database, report("gone", 1, 1, endpoint="other"), report("needed", 1, 1))
    pass_time(database, KEPT_US - 10 * SECOND)
    prune(database)
    assert names(database) == ["gone", "needed"]
    pass_time(database, 20 * SECOND)
    receive(database, report("here", 1, 1))
    prune(database)
    assert lives(database) == [("here", 1), ("needed", 1)]
    assert names(database) == ["here", "needed"]
    # One that was only away brings all of it back.
    assert receive(database, report("gone", 1, 5, endpoint="other")) == [True]
    assert [one.arms[0].requests for one in total(database) if one.name == "other"] == [5]


def test_old_snapshots_go_and_generations_go_on(database: Database) -> None:
    with database.change() as transaction:
        for _ in range(KEPT_SNAPSHOTS + 5):
            snapshots.publish(transaction, Snapshot(), "me")
    prune(database)
    with database.change() as transaction:
        newest = snapshots.newest(transaction).generation
        assert newest == KEPT_SNAPSHOTS + 5
        kept = [number for number in (1, 5, 6, newest) if snapshots.get(transaction, number) is not None]
        assert kept == [6, newest]
        assert snapshots.publish(transaction, Snapshot(), "me").generation == newest + 1


def test_deliveries_go_when_they_are_old_and_settled(database: Database) -> None:
    with database.write() as transaction:
        hook = webhooks.add(transaction, WebhookRequest(url="http://127.0.0.1:1/"), "secret", "me").id
        for _ in range(4):
            webhooks.announce(transaction, "role.moved", {})
        first, second, third, _ = (one.id for one in webhooks.due(transaction, 10))
        webhooks.delivered(transaction, first)
        webhooks.failed(transaction, second, "gone", None)
        webhooks.failed(transaction, third, "busy", 1)

    def states() -> list[DeliveryState]:
        with database.read() as transaction:
            return [one.state for one in webhooks.deliveries(transaction, hook)]

    prune(database)
    assert len(states()) == 4
    pass_time(database, KEPT_US + SECOND)
    prune(database)
    assert states() == [DeliveryState.PENDING, DeliveryState.PENDING]


def test_decisions_stay_for_ever(database: Database) -> None:
    with database.change() as transaction:
        decisions.record(transaction, Decision("replica.stale", "gone", Verdict.ERROR, "control"))
    pass_time(database, 10 * KEPT_US)
    prune(database)
    with database.read() as transaction:
        assert [one.subject for one in decisions.listed(transaction)] == ["gone"]


def test_only_the_leader_removes_anything(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: Any) -> None:
        raise AssertionError("it has lost the lease")

    monkeypatch.setattr(telemetry, "fold", no)
    with database.write() as transaction:
        lost = leases.acquire(transaction, "leader", "me", -1.0)
        assert leases.acquire(transaction, "leader", "another", 60.0) is not None
    assert lost is not None
    asyncio.run(Pruner(database).prune(lost))


@pytest.mark.timeout(90)
def test_the_leader_does_it_by_itself(database: Database, database_url: str, start_control: StartControl) -> None:
    with database.change() as transaction:
        for _ in range(KEPT_SNAPSHOTS + 1):
            snapshots.publish(transaction, Snapshot(), "me")

    def gone() -> bool:
        with database.read() as transaction:
            return snapshots.get(transaction, 1) is None

    start_control(database_url=database_url)
    until(gone, "the oldest snapshot is gone", seconds=20)
