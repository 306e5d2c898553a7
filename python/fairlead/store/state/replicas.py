"""Data-plane processes and when they were last heard of."""

from __future__ import annotations

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fairlead.schema.control import ReplicaRecord
from fairlead.schema.telemetry import Telemetry
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import ReplicaRow, TelemetryRow


def seen(transaction: Transaction, report: Telemetry) -> None:
    """Note that a replica has reported; what an older life of it says is ignored."""
    insert = (postgresql if transaction.dialect == "postgresql" else sqlite).insert(ReplicaRow)
    now = transaction.now_us
    known = {
        "incarnation": report.incarnation,
        "region": report.region,
        "generation": report.generation,
        "last_seen_us": now,
        "stale_us": None,
    }
    statement = insert.values(replica=report.replica, first_seen_us=now, **known)
    transaction.session.execute(
        statement.on_conflict_do_update(
            index_elements=["replica"], set_=known, where=ReplicaRow.incarnation <= report.incarnation
        )
    )


def listed(transaction: Transaction, stale_after_us: int) -> list[ReplicaRecord]:
    """Return all replicas; one that was silent for longer than `stale_after_us` is stale."""
    oldest = transaction.now_us - stale_after_us
    return [
        ReplicaRecord(
            replica=row.replica,
            incarnation=row.incarnation,
            region=row.region,
            generation=row.generation,
            first_seen_us=row.first_seen_us,
            last_seen_us=row.last_seen_us,
            stale=row.stale_us is not None or row.last_seen_us < oldest,
        )
        for row in transaction.session.scalars(select(ReplicaRow).order_by(ReplicaRow.replica))
    ]


def mark_stale(transaction: Transaction, stale_after_us: int) -> list[str]:
    """Mark those that have gone silent since the last time, and return their names."""
    oldest = transaction.now_us - stale_after_us
    statement = (
        update(ReplicaRow)
        .where(ReplicaRow.stale_us.is_(None), ReplicaRow.last_seen_us < oldest)
        .values(stale_us=transaction.now_us)
        .returning(ReplicaRow.replica)
    )
    return sorted(transaction.session.scalars(statement))


def living(transaction: Transaction, stale_after_us: int) -> int:
    """Return how many have reported within `stale_after_us`."""
    oldest = transaction.now_us - stale_after_us
    query = select(func.count()).select_from(ReplicaRow).where(ReplicaRow.last_seen_us >= oldest)
    return transaction.session.scalar(query) or 0


def forget(transaction: Transaction, silent_us: int) -> None:
    """Remove those that are silent for `silent_us`, and noticed to be, unless what they counted is kept."""
    counted = exists().where(TelemetryRow.replica == ReplicaRow.replica)
    transaction.session.execute(
        delete(ReplicaRow).where(
            ReplicaRow.last_seen_us < transaction.now_us - silent_us, ReplicaRow.stale_us.is_not(None), ~counted
        )
    )
