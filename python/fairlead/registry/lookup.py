"""Questions to the registry."""

from __future__ import annotations

from fairlead.errors import ControlError
from fairlead.schema.registry import (
    BundleDocuments,
    BundleRecord,
    BundleView,
    EndpointRecord,
    RegistryRole,
    RoleMove,
)
from fairlead.store.state import Transaction, bundles, endpoints, roles

FULL = 64


def resolve(transaction: Transaction, digits: str) -> tuple[BundleRecord, BundleDocuments]:
    """Return the bundle whose sha256 is, or begins with, `digits`; raises `ControlError`."""
    found = [digits] if len(digits) == FULL else bundles.beginning_with(transaction, digits)
    if len(found) > 1:
        raise ControlError(f"several bundles begin with {digits!r}", code="bundle_ambiguous")
    record = bundles.get(transaction, found[0]) if found else None
    documents = None if record is None else bundles.documents(transaction, record.sha256)
    if record is None or documents is None:
        raise ControlError(f"no bundle {digits!r}", code="bundle_unknown")
    return record, documents


def view(transaction: Transaction, digits: str) -> BundleView:
    """Return all that is known of a bundle."""
    record, documents = resolve(transaction, digits)
    return BundleView(record=record, documents=documents, roles=roles.listed(transaction, sha256=record.sha256))


def endpoint_record(transaction: Transaction, name: str) -> EndpointRecord:
    """Return an endpoint; raises `ControlError` where there is none of that name."""
    stored = endpoints.get(transaction, name)
    if stored is None:
        raise ControlError(f"no endpoint {name!r}", code="endpoint_unknown")
    return EndpointRecord(
        name=name,
        settings=stored.settings,
        roles=roles.listed(transaction, endpoint=name),
        updated_us=stored.updated_us,
        updated_by=stored.updated_by,
    )


def champion_at(
    transaction: Transaction, endpoint: str, at_us: int, role: RegistryRole = RegistryRole.CHAMPION
) -> RoleMove:
    """Return the move that made a bundle what it was at that time; raises `ControlError` where nobody was."""
    endpoint_record(transaction, endpoint)
    move = roles.holder_at(transaction, endpoint, role, at_us)
    if move is None:
        raise ControlError(f"{endpoint} had no {role.value} at that time", code="role_vacant")
    return move
