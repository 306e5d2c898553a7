"""POST /telemetry: what a replica has counted."""

from __future__ import annotations

from fastapi import APIRouter

from fairlead.control.access import Caller, CallerOrReplica
from fairlead.control.routes.shared import Here
from fairlead.schema.control import KeyRole, TelemetryReceipt
from fairlead.schema.telemetry import EndpointTelemetry, Telemetry, merge
from fairlead.store.state import replicas, telemetry

router = APIRouter(prefix="/telemetry", tags=["telemetry"])


@router.post("")
def report(body: Telemetry, control: Here, actor: CallerOrReplica) -> TelemetryReceipt:
    """Take a report. A replay, a duplicate or a late one changes nothing, not even when the replica was last seen."""
    if actor.role is not KeyRole.REPLICA:
        actor.must_be(KeyRole.OPERATOR, "report telemetry")
    with control.database.write() as transaction:
        accepted = telemetry.receive(transaction, body)
        if accepted:
            replicas.seen(transaction, body)
    return TelemetryReceipt(accepted=accepted)


@router.get("")
def total(control: Here, _: Caller) -> list[EndpointTelemetry]:
    """Return the sum over all replicas that are known, and all of their lives."""
    with control.database.read() as transaction:
        reports = telemetry.newest(transaction)
    return merge(found.endpoints for found in reports)
