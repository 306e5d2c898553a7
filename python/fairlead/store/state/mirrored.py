"""What an MLflow server and the registry last agreed on."""

from __future__ import annotations

from sqlalchemy import select

from fairlead.store.state.database import Transaction
from fairlead.store.state.models import MirroredAliasRow, MirroredBundleRow


def versions(transaction: Transaction) -> dict[str, tuple[str, str]]:
    """Return model and version by the bundle's sha256."""
    rows = transaction.session.scalars(select(MirroredBundleRow))
    return {row.sha256: (row.model, row.version) for row in rows}


def set_version(transaction: Transaction, sha256: str, model: str, version: str) -> None:
    """Note that the bundle is that version of that model."""
    transaction.session.merge(MirroredBundleRow(sha256=sha256, model=model, version=version))
    transaction.session.flush()


def aliases(transaction: Transaction) -> dict[tuple[str, str], str | None]:
    """Return the version by model and alias."""
    rows = transaction.session.scalars(select(MirroredAliasRow))
    return {(row.model, row.alias): row.version for row in rows}


def set_alias(transaction: Transaction, model: str, alias: str, version: str | None) -> None:
    """Note that both sides agree on this version, or on none."""
    transaction.session.merge(MirroredAliasRow(model=model, alias=alias, version=version))
    transaction.session.flush()
