"""The newest report of each life of each replica: their sum is the whole truth."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from fairlead.schema.telemetry import Telemetry
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import TelemetryRow


def receive(transaction: Transaction, report: Telemetry) -> bool:
    """Keep the report if it is newer than what is known of that life; false where it changes nothing."""
    insert = (postgresql if transaction.dialect == "postgresql" else sqlite).insert(TelemetryRow)
    known = {
        "sequence": report.sequence,
        "document": report.model_dump(mode="json"),
        "received_us": transaction.now_us,
    }
    statement = insert.values(replica=report.replica, incarnation=report.incarnation, **known)
    kept = statement.on_conflict_do_update(
        index_elements=["replica", "incarnation"], set_=known, where=TelemetryRow.sequence < report.sequence
    ).returning(TelemetryRow.sequence)
    return transaction.session.scalar(kept) is not None


def newest(transaction: Transaction) -> list[Telemetry]:
    """Return the newest report of every life, the dead ones included: what they counted stays counted."""
    rows = transaction.session.scalars(select(TelemetryRow).order_by(TelemetryRow.replica, TelemetryRow.incarnation))
    return [Telemetry.model_validate(row.document) for row in rows]
