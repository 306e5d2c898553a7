"""GET /health: for load balancers; needs no key."""

from __future__ import annotations

from fastapi import APIRouter

from fairlead.control.leader import NAME
from fairlead.control.routes.shared import Here
from fairlead.schema.control import Health
from fairlead.store.state import leases, snapshots

router = APIRouter(tags=["health"])


@router.get("/health")
def health(control: Here) -> Health:
    """Answer 200 where the database answers, 503 where not."""
    with control.database.read() as transaction:
        return Health(
            ready=True,
            leader=control.leadership.held is not None,
            holder=leases.holder(transaction, NAME),
            generation=snapshots.generation(transaction),
            polls=control.feed.waiting,
        )
