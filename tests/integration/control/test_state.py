"""The tables and what may be done with them, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fairlead.errors import BadInputError, StoreError
from fairlead.schema.control import KeyRecord, KeyRole, WebhookRequest
from fairlead.schema.registry import EndpointSettings, RegistryRole, Verdict
from fairlead.schema.snapshot import Durability, Role, Snapshot
from fairlead.schema.telemetry import ArmCounts, EndpointTelemetry, Telemetry, merge
from fairlead.store.state import (
    Database,
    decisions,
    endpoints,
    keys,
    leases,
    replicas,
    roles,
    snapshots,
    telemetry,
    webhooks,
)
from fairlead.store.state.decisions import Decision
from fairlead.store.state.models import Base, BundleRow
from fairlead.store.state.roles import Move, Why
from tests.serverkit.waiting import until

SECOND = 1_000_000


def engine_of(database: Database) -> Any:
    return database._engine


def test_the_migrations_make_the_tables_that_the_models_describe(database: Database) -> None:
    with engine_of(database).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_again_and_at_once_is_harmless(database_url: str) -> None:
    several = [Database(database_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Database.migrate, several))
    several[0].migrate()
    for one in several:
        one.close()


def test_a_database_of_a_later_version_is_refused(database: Database) -> None:
    with engine_of(database).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999"):
        database.migrate()


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/name"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(BadInputError):
        Database(url)


def test_the_password_is_not_shown() -> None:
    assert "secret" not in Database("postgresql://me:secret@127.0.0.1/x").url


def test_what_fails_changes_nothing(database: Database) -> None:
    def fail() -> None:
        with database.change() as transaction:
            endpoints.put(transaction, "fraud", EndpointSettings(), "me")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as transaction:
        assert endpoints.listed(transaction) == []


def test_settings_come_back_as_they_were(database: Database) -> None:
    wanted = EndpointSettings(durability=Durability.ACKNOWLEDGED, unit_key="card", deadline_ms=77)
    with database.change() as transaction:
        endpoints.put(transaction, "fraud", wanted, "me")
    with database.read() as transaction:
        found = endpoints.get(transaction, "fraud")
    assert found is not None
    assert (found.settings, found.updated_by) == (wanted, "me")


def test_generations_grow_by_one_whoever_publishes(database: Database) -> None:
    def publish(_: int) -> int:
        with database.change() as transaction:
            return snapshots.publish(transaction, Snapshot(), "me").generation

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(publish, range(40)))
    assert sorted(made) == list(range(1, 41))
    with database.read() as transaction:
        assert snapshots.newest(transaction).generation == 40


def test_one_change_at_a_time(database: Database) -> None:
    inside = threading.Lock()

    def change(number: int) -> None:
        with database.change() as transaction:
            assert inside.acquire(blocking=False), "two changes at once"
            endpoints.put(transaction, f"e{number}", EndpointSettings(), "me")
            inside.release()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(30)))
    with database.read() as transaction:
        assert len(endpoints.listed(transaction)) == 30


def bundle_row(number: int) -> BundleRow:
    return BundleRow(
        sha256=f"{number:064x}",
        name="fraud",
        version=number,
        engine="onnx",
        requires_trust=False,
        size=1,
        location="x",
        documents={},
        pushed_us=0,
        pushed_by="me",
    )


@pytest.fixture
def champion(database: Database) -> Database:
    """A database in which bundle 1 of `fraud` is champion and 2, 3 are known."""
    with database.change() as transaction:
        endpoints.put(transaction, "fraud", EndpointSettings(), "me")
        transaction.session.add_all([bundle_row(number) for number in (1, 2, 3)])
        transaction.session.flush()
        go(transaction, 1, None, RegistryRole.CHAMPION)
    return database


def go(transaction: Any, number: int, before: RegistryRole | None, after: RegistryRole | None) -> None:
    decision = decisions.record(transaction, Decision("role.assigned", str(number), Verdict.PASS, "me", "fraud"))
    step = Move("fraud", f"{number:064x}", str(number), before, after)
    roles.move(transaction, step, Why("me", "because", decision))


def test_who_was_champion_when(champion: Database) -> None:
    for new, old in ((2, 1), (3, 2)):
        with champion.change() as transaction:
            go(transaction, old, RegistryRole.CHAMPION, RegistryRole.ARCHIVED)
            go(transaction, new, None, RegistryRole.CHAMPION)
    with champion.read() as transaction:
        moves = roles.history(transaction, "fraud")
        times = {move.version: move.at_us for move in moves if move.to_role is RegistryRole.CHAMPION}
        assert list(times) == ["3", "2", "1"]
        assert [move.at_us for move in moves] == sorted((move.at_us for move in moves), reverse=True)
        found = roles.holder_at(transaction, "fraud", RegistryRole.CHAMPION, times["3"])
        assert found is not None
        assert found.version == "3"
        assert roles.holder_at(transaction, "fraud", RegistryRole.CHAMPION, times["1"] - 1) is None
        between = roles.holder_at(transaction, "fraud", RegistryRole.CHAMPION, times["3"] - 1)
        assert between is not None
        assert between.version in {"1", "2"}  # several moves may fall into one tick of the clock
        assert roles.holder_at(transaction, "fraud", RegistryRole.CHALLENGER, times["3"]) is None


def test_a_vacated_role_is_vacant(champion: Database) -> None:
    with champion.change() as transaction:
        go(transaction, 2, None, RegistryRole.CHALLENGER)
    with champion.change() as transaction:
        go(transaction, 2, RegistryRole.CHALLENGER, RegistryRole.ARCHIVED)
    with champion.read() as transaction:
        assert roles.holder_at(transaction, "fraud", RegistryRole.CHALLENGER, 2**60) is None


def test_a_threshold_goes_with_its_bundle_and_with_no_other(champion: Database) -> None:
    with champion.change() as transaction:
        go(transaction, 2, None, RegistryRole.CHALLENGER)
        roles.decide_at(transaction, "fraud", f"{2:064x}", 0.1 + 0.2)
        roles.decide_at(transaction, "fraud", f"{3:064x}", 0.5)  # has no role there: nothing to keep
    with champion.change() as transaction:
        go(transaction, 1, RegistryRole.CHAMPION, RegistryRole.ARCHIVED)
        go(transaction, 2, RegistryRole.CHALLENGER, RegistryRole.CHAMPION)
        go(transaction, 3, None, RegistryRole.CHALLENGER)

    def kept() -> dict[str, float | None]:
        with champion.read() as transaction:
            return {one.version: one.threshold for one in roles.listed(transaction, "fraud")}

    assert kept() == {"1": None, "2": 0.1 + 0.2, "3": None}
    with champion.change() as transaction:
        roles.decide_at(transaction, "fraud", f"{2:064x}", None)
    assert kept() == {"1": None, "2": None, "3": None}


@pytest.mark.parametrize("role", [RegistryRole.CHAMPION, RegistryRole.CHALLENGER])
def test_the_database_itself_refuses_two_in_a_single_role(champion: Database, role: RegistryRole) -> None:
    with champion.change() as transaction:
        if role is RegistryRole.CHALLENGER:
            go(transaction, 2, None, role)
    with pytest.raises(DBAPIError), champion.change() as transaction:
        go(transaction, 3, None, role)


@pytest.mark.parametrize("table", ["decisions", "role_history"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET actor = 'me'", "DELETE FROM {}"])
def test_history_only_grows(champion: Database, table: str, statement: str) -> None:
    with pytest.raises(DBAPIError, match="only grows"), engine_of(champion).begin() as connection:
        connection.execute(text(statement.format(table)))


def report(replica: str, incarnation: int, sequence: int, requests: int) -> Telemetry:
    arm = ArmCounts(version="1", role=Role.CHAMPION, epoch=0, requests=requests)
    return Telemetry(
        replica=replica,
        incarnation=incarnation,
        sequence=sequence,
        generation=1,
        time_us=1,
        endpoints=[EndpointTelemetry(name="fraud", arms=[arm])],
    )


REPORTS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 2), st.integers(0, 5)), max_size=25)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(REPORTS)
def test_replays_duplicates_and_reordering_of_telemetry_change_nothing(
    database: Database, arrivals: list[tuple[str, int, int]]
) -> None:
    with database.write() as transaction:
        transaction.session.execute(text("DELETE FROM telemetry"))
        for replica, incarnation, sequence in arrivals:
            # Cumulative: what a report says follows from its sequence.
            telemetry.receive(transaction, report(replica, incarnation, sequence, 10 * sequence))
    with database.read() as transaction:
        found = merge(one.endpoints for one in telemetry.newest(transaction))
    newest = {life: max(s for r, i, s in arrivals if (r, i) == life) for life in {(r, i) for r, i, _ in arrivals}}
    total = sum(arm.requests for endpoint in found for arm in endpoint.arms)
    assert total == sum(10 * sequence for sequence in newest.values())


def test_receiving_says_whether_it_was_new(database: Database) -> None:
    with database.write() as transaction:
        assert telemetry.receive(transaction, report("a", 1, 3, 3))
        assert not telemetry.receive(transaction, report("a", 1, 3, 9))
        assert not telemetry.receive(transaction, report("a", 1, 2, 9))
        assert telemetry.receive(transaction, report("a", 2, 0, 1))


def test_a_silent_replica_is_stale_and_marked_once(database: Database) -> None:
    with database.write() as transaction:
        replicas.seen(transaction, report("a", 5, 1, 0))
    with database.read() as transaction:
        assert [one.stale for one in replicas.listed(transaction, 60 * SECOND)] == [False]

    def marked() -> list[str]:
        with database.write() as transaction:
            return replicas.mark_stale(transaction, 1)

    assert until(marked, "it is stale") == ["a"]
    assert marked() == []
    with database.write() as transaction:
        assert [one.stale for one in replicas.listed(transaction, 60 * SECOND)] == [True]
        replicas.seen(transaction, report("a", 4, 9, 0))  # an older life of it: says nothing of this one
        assert [one.stale for one in replicas.listed(transaction, 60 * SECOND)] == [True]
        replicas.seen(transaction, report("a", 6, 0, 0))
    with database.read() as transaction:
        assert [(one.stale, one.incarnation) for one in replicas.listed(transaction, 60 * SECOND)] == [(False, 6)]


def test_a_lease_has_one_holder_and_its_terms_count_the_holders(database: Database) -> None:
    def acquire(holder: str, seconds: float = 60.0) -> Any:
        with database.write() as transaction:
            return leases.acquire(transaction, "leader", holder, seconds)

    first = acquire("a")
    assert first is not None
    assert first.term == 1
    assert acquire("b") is None
    renewed = acquire("a", 0.0)
    assert renewed == first
    second = until(lambda: acquire("b"), "the lease runs out")
    assert second.term == 2
    with database.write() as transaction:
        assert not leases.still_held(transaction, first)
        assert leases.still_held(transaction, second)
        assert leases.holder(transaction, "leader") == "b"
        leases.release(transaction, first)  # what one does not hold one cannot give back
        assert leases.holder(transaction, "leader") == "b"
        leases.release(transaction, second)
    assert acquire("a").holder == "a"


def test_a_lease_that_has_run_out_is_not_held_though_nobody_has_taken_it(database: Database) -> None:
    with database.write() as transaction:
        lease = leases.acquire(transaction, "leader", "a", -1.0)
        assert lease is not None
        assert not leases.still_held(transaction, lease)
        assert leases.holder(transaction, "leader") is None


def test_of_many_who_want_a_lease_one_gets_it(database: Database) -> None:
    def acquire(number: int) -> bool:
        with database.write() as transaction:
            return leases.acquire(transaction, "leader", f"h{number}", 60.0) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(acquire, range(24))) == 1


def test_keys(database: Database) -> None:
    def record(name: str) -> KeyRecord:
        return KeyRecord(name=name, role=KeyRole.VIEWER, created_us=1, created_by="me")

    with database.change() as transaction:
        assert not keys.any_made(transaction)
        assert keys.add(transaction, record("ci"), "d1")
        assert not keys.add(transaction, record("ci"), "d2")
        assert keys.valid(transaction, "d1") == record("ci")
        assert keys.valid(transaction, "d2") is None
        assert keys.revoke(transaction, "nobody") is None
        revoked = keys.revoke(transaction, "ci")
        assert revoked is not None
        assert keys.valid(transaction, "d1") is None
        assert keys.revoke(transaction, "ci") == revoked
        assert not keys.add(transaction, record("ci"), "d3")
        assert keys.any_made(transaction)


def test_an_event_is_in_the_outbox_once_for_each_webhook_that_wants_it(database: Database) -> None:
    with database.change() as transaction:
        for events in (["*"], ["role.moved"], ["bundle.pushed"]):
            webhooks.add(transaction, WebhookRequest(url="http://127.0.0.1:1/", events=events), "s", "me")
        webhooks.announce(transaction, "role.moved", {"x": 1})
    with database.write() as transaction:
        due = webhooks.due(transaction, 10)
        assert [one.event for one in due] == ["role.moved"] * 2
        webhooks.delivered(transaction, due[0].id)
        webhooks.failed(transaction, due[1].id, "no", 3_600 * SECOND)
        assert webhooks.due(transaction, 10) == []
        states = [webhooks.deliveries(transaction, number)[0] for number in (1, 2)]
        assert [(one.state, one.attempts, one.last_error) for one in states] == [
            ("delivered", 1, None),
            ("pending", 1, "no"),
        ]
        assert webhooks.remove(transaction, 2)
        assert webhooks.deliveries(transaction, 2) == []


def test_a_database_that_is_not_there_is_said_to_be_away() -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(StoreError) as caught, away.read():
        pass
    assert caught.value.code == "database_unavailable"
    away.close()
