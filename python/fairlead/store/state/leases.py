"""Leases: one holder at a time, by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from fairlead.store.state.database import Transaction, now_us
from fairlead.store.state.models import LeaseRow


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that is held. `term` grows with every change of holder."""

    name: str
    holder: str
    term: int


def acquire(transaction: Transaction, name: str, holder: str, seconds: float) -> Lease | None:
    """Take the lease, or renew it; None while somebody else holds it."""
    insert = (postgresql if transaction.dialect == "postgresql" else sqlite).insert(LeaseRow)
    expires = now_us() + round(seconds * 1_000_000)
    taken = insert.values(name=name, holder=holder, term=1, expires_us=expires).on_conflict_do_update(
        index_elements=["name"],
        set_={
            "holder": holder,
            "expires_us": expires,
            "term": case((LeaseRow.holder == holder, LeaseRow.term), else_=LeaseRow.term + 1),
        },
        where=or_(LeaseRow.holder == holder, LeaseRow.expires_us < now_us()),
    )
    term = transaction.session.scalar(taken.returning(LeaseRow.term))
    return None if term is None else Lease(name, holder, term)


def still_held(transaction: Transaction, lease: Lease) -> bool:
    """Return True if the lease is this holder's at this moment; on PostgreSQL until the transaction ends."""
    query = select(LeaseRow.term).where(
        LeaseRow.name == lease.name,
        LeaseRow.holder == lease.holder,
        LeaseRow.term == lease.term,
        LeaseRow.expires_us >= now_us(),
    )
    return transaction.session.scalar(query.with_for_update(read=True)) is not None


def release(transaction: Transaction, lease: Lease) -> None:
    """Give the lease back before its time, so that another can take it at once."""
    transaction.session.execute(delete(LeaseRow).where(LeaseRow.name == lease.name, LeaseRow.holder == lease.holder))


def holder(transaction: Transaction, name: str) -> str | None:
    """Return who holds the lease now."""
    query = select(LeaseRow.holder).where(LeaseRow.name == name, LeaseRow.expires_us >= now_us())
    return transaction.session.scalar(query)
