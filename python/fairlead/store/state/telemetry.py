"""The newest report of each life of each replica: their sum is the whole truth."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from fairlead.schema.telemetry import Telemetry, merge
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import TelemetryRow

FOLDED = 2**62
"""The sequence of a row that is the sum of lives that have ended: no report is newer."""


def receive(transaction: Transaction, report: Telemetry) -> bool:
    """Keep the report if it is newer than what is known of that life; false where it changes nothing."""
    if _is_folded(transaction, report):
        return False
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
    """Return the newest report of every life, the dead ones included: what they counted stays counted.

    Of a replica's lives that ended long ago, their sum (`fold`).
    """
    rows = transaction.session.scalars(select(TelemetryRow).order_by(TelemetryRow.replica, TelemetryRow.incarnation))
    return [Telemetry.model_validate(row.document) for row in rows]


def fold(transaction: Transaction, silent_us: int) -> None:
    """Add up the lives that another has followed and that are silent for `silent_us`: one row for each replica.

    The sum stays what it was. A replica that is started again and again must not make every look at the counts slower.
    """
    last = select(func.max(TelemetryRow.incarnation)).where(TelemetryRow.replica == _Others.c.replica).scalar_subquery()
    ended = (
        select(_Others.c.replica, _Others.c.incarnation)
        .where(_Others.c.received_us < transaction.now_us - silent_us, _Others.c.incarnation < last)
        .order_by(_Others.c.replica, _Others.c.incarnation)
    )
    for _, keys in itertools.groupby(transaction.session.execute(ended).all(), key=lambda row: row.replica):
        lives = list(keys)
        if len(lives) > 1:
            keys_of = [(life.replica, life.incarnation) for life in lives]
            rows = [transaction.session.get_one(TelemetryRow, key, with_for_update=True) for key in keys_of]
            for region in {row.document["region"] for row in rows}:
                _fold(transaction, [row for row in rows if row.document["region"] == region])
    transaction.session.flush()


def forget(transaction: Transaction, silent_us: int, keep: Collection[str]) -> None:
    """Remove what was not heard of for `silent_us`, unless it counted for one of the endpoints `keep`.

    Should such a replica ever report again, its whole truth is back: reports are cumulative.
    """
    for row in transaction.session.scalars(
        select(TelemetryRow).where(TelemetryRow.received_us < transaction.now_us - silent_us)
    ):
        if {endpoint["name"] for endpoint in row.document["endpoints"]}.isdisjoint(keep):
            transaction.session.delete(row)
    transaction.session.flush()


_Others = TelemetryRow.__table__.alias("others")


def _fold(transaction: Transaction, rows: Sequence[TelemetryRow]) -> None:
    """Make the last row the sum of all of them, which are in the order of their lives."""
    if len(rows) < 2:
        return
    reports = [Telemetry.model_validate(row.document) for row in rows]
    total = reports[-1].model_copy(
        update={"incarnation": reports[0].incarnation, "endpoints": merge(report.endpoints for report in reports)}
    )
    rows[-1].sequence, rows[-1].document = FOLDED, total.model_dump(mode="json")
    for row in rows[:-1]:
        transaction.session.delete(row)


def _is_folded(transaction: Transaction, report: Telemetry) -> bool:
    """Whether the report may be part of a sum already."""
    query = select(TelemetryRow.incarnation).where(
        TelemetryRow.replica == report.replica,
        TelemetryRow.incarnation >= report.incarnation,
        TelemetryRow.sequence == FOLDED,
    )
    return transaction.session.scalar(query.limit(1)) is not None
