"""API keys, by their digests."""

from __future__ import annotations

from sqlalchemy import func, select

from fairlead.schema.control import KeyRecord, KeyRole
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import KeyRow


def add(transaction: Transaction, record: KeyRecord, digest: str) -> bool:
    """Add a key; false where the name is in use, or was."""
    if transaction.session.get(KeyRow, record.name) is not None:
        return False
    transaction.session.add(KeyRow(**record.model_dump(mode="json"), digest=digest))
    transaction.session.flush()
    return True


def valid(transaction: Transaction, digest: str) -> KeyRecord | None:
    """Return whose key has this digest, if it was not revoked."""
    row = transaction.session.scalar(select(KeyRow).where(KeyRow.digest == digest, KeyRow.revoked_us.is_(None)))
    return None if row is None else _record(row)


def any_made(transaction: Transaction) -> bool:
    """Return True once a key was made, revoked or not."""
    return bool(transaction.session.scalar(select(func.count()).select_from(KeyRow)))


def listed(transaction: Transaction) -> list[KeyRecord]:
    """Return all keys by age."""
    return [
        _record(row) for row in transaction.session.scalars(select(KeyRow).order_by(KeyRow.created_us, KeyRow.name))
    ]


def revoke(transaction: Transaction, name: str) -> KeyRecord | None:
    """Make the key invalid for good; None where there is none of that name."""
    row = transaction.session.get(KeyRow, name)
    if row is None:
        return None
    row.revoked_us = row.revoked_us or transaction.now_us
    transaction.session.flush()
    return _record(row)


def _record(row: KeyRow) -> KeyRecord:
    return KeyRecord(
        name=row.name,
        role=KeyRole(row.role),
        created_us=row.created_us,
        created_by=row.created_by,
        revoked_us=row.revoked_us,
    )
