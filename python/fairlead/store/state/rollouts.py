"""Rollouts: their documents and states. One is active on an endpoint at a time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import RolloutState
from fairlead.schema.snapshot import Routing
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import EpochRow, RolloutRow


@dataclass(frozen=True, slots=True)
class StoredRollout:
    """A rollout as it stands; whoever saves it says which revision they have seen."""

    rollout: Rollout
    state: RolloutState
    revision: int
    created_us: int
    created_by: str
    updated_us: int


def get(transaction: Transaction, name: str) -> StoredRollout | None:
    """Return the rollout, or None."""
    row = transaction.session.get(RolloutRow, name)
    return None if row is None else _stored(row)


def listed(transaction: Transaction, *, active_only: bool = False) -> list[StoredRollout]:
    """Return all rollouts by name, or those that are active."""
    query = select(RolloutRow).order_by(RolloutRow.name)
    return [
        _stored(row) for row in transaction.session.scalars(query.where(RolloutRow.active) if active_only else query)
    ]


def active(transaction: Transaction, endpoint: str) -> str | None:
    """Return the name of the rollout that is active on the endpoint, or None."""
    return transaction.session.scalar(select(RolloutRow.name).where(RolloutRow.endpoint == endpoint, RolloutRow.active))


def busy(transaction: Transaction) -> set[str]:
    """Return the endpoints on which a rollout is active."""
    return set(transaction.session.scalars(select(RolloutRow.endpoint).where(RolloutRow.active)))


def routings(transaction: Transaction) -> dict[str, Routing]:
    """Return what the active rollouts want of the data plane, by endpoint."""
    found = {stored.rollout.spec.endpoint: stored.state.routing for stored in listed(transaction, active_only=True)}
    return {endpoint: routing for endpoint, routing in found.items() if routing is not None}


def last_epoch(transaction: Transaction, endpoint: str) -> int:
    """Return the last epoch that any rollout has used on the endpoint; 0: none."""
    row = transaction.session.get(EpochRow, endpoint)
    return 0 if row is None else row.epoch


def begin(transaction: Transaction, rollout: Rollout, state: RolloutState, actor: str) -> None:
    """Keep a rollout that begins, or begins anew."""
    row = transaction.session.get(RolloutRow, rollout.name)
    now = transaction.now_us
    if row is None:
        row = RolloutRow(name=rollout.name, revision=0)
        transaction.session.add(row)
    row.endpoint, row.document = rollout.spec.endpoint, rollout.model_dump(mode="json")
    row.created_us, row.created_by = now, actor
    _write(transaction, row, state)


def save(transaction: Transaction, name: str, seen_revision: int, state: RolloutState) -> bool:
    """Keep the state; false, and nothing is changed, where it is not the seen revision any more."""
    row = transaction.session.get(RolloutRow, name, populate_existing=True)
    if row is None or row.revision != seen_revision:
        return False
    _write(transaction, row, state)
    return True


def _write(transaction: Transaction, row: RolloutRow, state: RolloutState) -> None:
    row.state, row.active = state.model_dump(mode="json"), not state.phase.ended
    row.revision, row.updated_us = row.revision + 1, transaction.now_us
    newest = max((allocation.epoch for allocation in state.allocations), default=0)
    epoch = transaction.session.get(EpochRow, row.endpoint)
    if epoch is None:
        transaction.session.add(EpochRow(endpoint=row.endpoint, epoch=newest))
    else:
        epoch.epoch = max(epoch.epoch, newest)
    transaction.session.flush()


def _stored(row: RolloutRow) -> StoredRollout:
    return StoredRollout(
        rollout=Rollout.model_validate(row.document),
        state=RolloutState.model_validate(row.state),
        revision=row.revision,
        created_us=row.created_us,
        created_by=row.created_by,
        updated_us=row.updated_us,
    )
