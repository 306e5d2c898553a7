"""Who has which role on an endpoint, and who had it when."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_, select

from fairlead.schema.registry import RegistryRole, RoleHolder, RoleMove
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import RoleHistoryRow, RoleRow


@dataclass(frozen=True, slots=True)
class Move:
    """A bundle's way from one role to another on an endpoint; None: no role."""

    endpoint: str
    sha256: str
    version: str
    from_role: RegistryRole | None
    to_role: RegistryRole | None


@dataclass(frozen=True, slots=True)
class Why:
    """Who moves it, for which reason, and the decision that says more."""

    actor: str
    reason: str
    decision: int


def move(transaction: Transaction, step: Move, why: Why) -> None:
    """Change the role and write the line of history. Vacate a single role before it is given anew."""
    now = max(transaction.now_us, _last_us(transaction))
    row = transaction.session.get(RoleRow, (step.endpoint, step.sha256))
    if step.to_role is None:
        if row is not None:
            transaction.session.delete(row)
    elif row is None:
        transaction.session.add(
            RoleRow(
                endpoint=step.endpoint,
                sha256=step.sha256,
                role=step.to_role.value,
                version=step.version,
                since_us=now,
            )
        )
    else:
        row.role, row.since_us = step.to_role.value, now
    transaction.session.add(
        RoleHistoryRow(
            endpoint=step.endpoint,
            sha256=step.sha256,
            version=step.version,
            from_role=None if step.from_role is None else step.from_role.value,
            to_role=None if step.to_role is None else step.to_role.value,
            at_us=now,
            actor=why.actor,
            reason=why.reason,
            decision=why.decision,
        )
    )
    transaction.session.flush()


def decide_at(transaction: Transaction, endpoint: str, sha256: str, threshold: float | None) -> None:
    """Let a bundle decide at this threshold on an endpoint, whatever role it has there; None: at its own."""
    row = transaction.session.get(RoleRow, (endpoint, sha256))
    if row is not None:
        row.threshold = threshold
        transaction.session.flush()


def listed(transaction: Transaction, endpoint: str | None = None, sha256: str | None = None) -> list[RoleHolder]:
    """Return the present roles, of one endpoint or one bundle if it is given, by endpoint and age."""
    query = select(RoleRow).order_by(RoleRow.endpoint, RoleRow.since_us, RoleRow.version)
    if endpoint is not None:
        query = query.where(RoleRow.endpoint == endpoint)
    if sha256 is not None:
        query = query.where(RoleRow.sha256 == sha256)
    return [
        RoleHolder(
            endpoint=row.endpoint,
            role=RegistryRole(row.role),
            sha256=row.sha256,
            version=row.version,
            since_us=row.since_us,
            threshold=row.threshold,
        )
        for row in transaction.session.scalars(query)
    ]


def history(
    transaction: Transaction, endpoint: str | None = None, sha256: str | None = None, limit: int = 1_000
) -> list[RoleMove]:
    """Return the last moves, newest first."""
    query = select(RoleHistoryRow).order_by(RoleHistoryRow.id.desc()).limit(limit)
    if endpoint is not None:
        query = query.where(RoleHistoryRow.endpoint == endpoint)
    if sha256 is not None:
        query = query.where(RoleHistoryRow.sha256 == sha256)
    return [_move(row) for row in transaction.session.scalars(query)]


def holder_at(transaction: Transaction, endpoint: str, role: RegistryRole, at_us: int) -> RoleMove | None:
    """Return the move that gave a bundle the role it had at that time; None where the role was vacant.

    Meant for the roles that one bundle has at a time, champion and challenger.
    """
    query = (
        select(RoleHistoryRow)
        .where(
            RoleHistoryRow.endpoint == endpoint,
            RoleHistoryRow.at_us <= at_us,
            or_(RoleHistoryRow.from_role == role.value, RoleHistoryRow.to_role == role.value),
        )
        .order_by(RoleHistoryRow.id.desc())
        .limit(1)
    )
    row = transaction.session.scalar(query)
    return None if row is None or row.to_role != role.value else _move(row)


def _last_us(transaction: Transaction) -> int:
    # A clock that was set back must not make history run backwards.
    query = select(RoleHistoryRow.at_us).order_by(RoleHistoryRow.id.desc()).limit(1)
    return transaction.session.scalar(query) or 0


def _move(row: RoleHistoryRow) -> RoleMove:
    return RoleMove(
        id=row.id,
        endpoint=row.endpoint,
        sha256=row.sha256,
        version=row.version,
        from_role=None if row.from_role is None else RegistryRole(row.from_role),
        to_role=None if row.to_role is None else RegistryRole(row.to_role),
        at_us=row.at_us,
        actor=row.actor,
        reason=row.reason,
        decision=row.decision,
    )
