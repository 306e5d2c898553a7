"""The desired settings of endpoints."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from fairlead.schema.registry import EndpointSettings
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import EndpointRow


@dataclass(frozen=True, slots=True)
class StoredEndpoint:
    """Settings, and who set them last."""

    name: str
    settings: EndpointSettings
    updated_us: int
    updated_by: str


def put(transaction: Transaction, name: str, settings: EndpointSettings, actor: str) -> None:
    """Make the endpoint, or replace its settings."""
    row = transaction.session.get(EndpointRow, name)
    if row is None:
        row = EndpointRow(name=name)
        transaction.session.add(row)
    row.settings = settings.model_dump(mode="json")
    row.updated_us, row.updated_by = transaction.now_us, actor
    transaction.session.flush()


def get(transaction: Transaction, name: str) -> StoredEndpoint | None:
    """Return the endpoint, or None."""
    row = transaction.session.get(EndpointRow, name)
    return None if row is None else _stored(row)


def listed(transaction: Transaction) -> list[StoredEndpoint]:
    """Return all endpoints by name."""
    return [_stored(row) for row in transaction.session.scalars(select(EndpointRow).order_by(EndpointRow.name))]


def _stored(row: EndpointRow) -> StoredEndpoint:
    return StoredEndpoint(row.name, EndpointSettings.model_validate(row.settings), row.updated_us, row.updated_by)
