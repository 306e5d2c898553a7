"""The states that replicas were told to be in, by a generation that only grows."""

from __future__ import annotations

from sqlalchemy import delete, func, select

from fairlead.schema.snapshot import Snapshot
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import SnapshotRow


def generation(transaction: Transaction, at_us: int | None = None) -> int:
    """Return the newest generation, or that of a time; 0 before the first."""
    query = select(func.max(SnapshotRow.generation))
    return transaction.session.scalar(query if at_us is None else query.where(SnapshotRow.at_us <= at_us)) or 0


def publish(transaction: Transaction, snapshot: Snapshot, actor: str) -> Snapshot:
    """Keep `snapshot` under the next generation and return it so numbered; part of a `change`."""
    numbered = snapshot.model_copy(update={"generation": generation(transaction) + 1})
    row = SnapshotRow(
        generation=numbered.generation,
        document=numbered.model_dump(mode="json"),
        at_us=transaction.now_us,
        actor=actor,
    )
    transaction.session.add(row)
    transaction.session.flush()
    return numbered


def newest(transaction: Transaction) -> Snapshot:
    """Return the newest snapshot; before the first, an empty one of generation 0."""
    row = transaction.session.scalar(select(SnapshotRow).order_by(SnapshotRow.generation.desc()).limit(1))
    return Snapshot(generation=0) if row is None else Snapshot.model_validate(row.document)


def get(transaction: Transaction, number: int) -> Snapshot | None:
    """Return the snapshot of that generation, or None."""
    row = transaction.session.get(SnapshotRow, number)
    return None if row is None else Snapshot.model_validate(row.document)


def forget(transaction: Transaction, keep: int) -> None:
    """Remove all but the newest `keep`; what led to each stays in the record of decisions."""
    oldest = generation(transaction) - keep
    transaction.session.execute(delete(SnapshotRow).where(SnapshotRow.generation <= oldest))
