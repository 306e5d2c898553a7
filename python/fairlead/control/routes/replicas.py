"""GET /replicas: who has reported, and who no longer does."""

from __future__ import annotations

from fastapi import APIRouter

from fairlead.control.access import Caller
from fairlead.control.routes.shared import Here
from fairlead.schema.control import ReplicaRecord
from fairlead.store.state import replicas

router = APIRouter(tags=["replicas"])


@router.get("/replicas")
def listed(control: Here, _: Caller) -> list[ReplicaRecord]:
    """Return every replica that was heard of within 30 days.

    One that is silent is `stale`: nothing is known of it, least of all health.
    """
    with control.database.read() as transaction:
        return replicas.listed(transaction, control.stale_us)
