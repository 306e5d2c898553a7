"""GET /decisions: what was decided, by whom, on which evidence."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from fairlead.control.access import Caller
from fairlead.control.routes.shared import Here
from fairlead.schema.registry import DecisionRecord
from fairlead.store.state import decisions

router = APIRouter(tags=["decisions"])


@router.get("/decisions")
def listed(
    control: Here,
    _: Caller,
    endpoint: str | None = None,
    kind: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> list[DecisionRecord]:
    """Return the last decisions, newest first."""
    with control.database.read() as transaction:
        return decisions.listed(transaction, endpoint, kind, limit)
