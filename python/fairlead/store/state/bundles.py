"""Bundles and their tags."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from fairlead.schema.registry import BundleDocuments, BundleRecord
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import BundleRow, TagRow


def add(transaction: Transaction, record: BundleRecord, documents: BundleDocuments) -> None:
    """Add a bundle that is not there yet."""
    fields = record.model_dump(mode="json", exclude={"tags"})
    transaction.session.add(BundleRow(**fields, documents=documents.model_dump(mode="json")))
    transaction.session.flush()


def next_version(transaction: Transaction, name: str) -> int:
    """Return the number that the next bundle called `name` gets."""
    newest = transaction.session.scalar(select(func.max(BundleRow.version)).where(BundleRow.name == name))
    return (newest or 0) + 1


def get(transaction: Transaction, sha256: str) -> BundleRecord | None:
    """Return the bundle, or None."""
    row = transaction.session.get(BundleRow, sha256)
    return None if row is None else _record(row, _tags(transaction, [sha256]).get(sha256, {}))


def documents(transaction: Transaction, sha256: str) -> BundleDocuments | None:
    """Return what is inside the bundle, or None."""
    row = transaction.session.get(BundleRow, sha256)
    return None if row is None else BundleDocuments.model_validate(row.documents)


def beginning_with(transaction: Transaction, digits: str) -> list[str]:
    """Return the sha256 of the bundles that begin with these hexadecimal digits, at most two."""
    if not digits or not set(digits) <= set("0123456789abcdef"):
        return []
    found = select(BundleRow.sha256).where(BundleRow.sha256.startswith(digits)).order_by(BundleRow.sha256).limit(2)
    return list(transaction.session.scalars(found))


def listed(transaction: Transaction, name: str | None = None) -> list[BundleRecord]:
    """Return all bundles, or those of one name, in the order of name and version."""
    query = select(BundleRow).order_by(BundleRow.name, BundleRow.version)
    rows = list(transaction.session.scalars(query if name is None else query.where(BundleRow.name == name)))
    tags = _tags(transaction, [row.sha256 for row in rows])
    return [_record(row, tags.get(row.sha256, {})) for row in rows]


def tag(transaction: Transaction, sha256: str, key: str, value: str, actor: str) -> None:
    """Set a tag, whatever it was."""
    insert = (postgresql if transaction.dialect == "postgresql" else sqlite).insert(TagRow)
    values = {"value": value, "set_us": transaction.now_us, "set_by": actor}
    statement = insert.values(sha256=sha256, key=key, **values)
    transaction.session.execute(statement.on_conflict_do_update(index_elements=["sha256", "key"], set_=values))


def untag(transaction: Transaction, sha256: str, key: str) -> bool:
    """Remove a tag; false where it was not set."""
    row = transaction.session.get(TagRow, (sha256, key))
    if row is not None:
        transaction.session.delete(row)
        transaction.session.flush()
    return row is not None


def _tags(transaction: Transaction, digests: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in transaction.session.scalars(select(TagRow).where(TagRow.sha256.in_(digests)).order_by(TagRow.key)):
        found.setdefault(row.sha256, {})[row.key] = row.value
    return found


def _record(row: BundleRow, tags: dict[str, str]) -> BundleRecord:
    return BundleRecord(
        sha256=row.sha256,
        name=row.name,
        version=row.version,
        engine=row.engine,
        requires_trust=row.requires_trust,
        size=row.size,
        location=row.location,
        pushed_us=row.pushed_us,
        pushed_by=row.pushed_by,
        tags=tags,
    )
