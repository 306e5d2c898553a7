"""Outcomes: what became of predictions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from fairlead import registry
from fairlead.control import intake
from fairlead.control.access import Caller
from fairlead.control.routes.shared import EndpointName, Here
from fairlead.schema.control import KeyRole
from fairlead.schema.outcomes import OutcomeBatch, OutcomeReceipt, OutcomeRecord, PredictionId
from fairlead.store.state import outcomes

router = APIRouter(prefix="/endpoints/{name}/outcomes", tags=["outcomes"])
Prediction = Annotated[PredictionId | None, Query(description="Only what was said of this prediction.")]
After = Annotated[int, Query(ge=0, description="Only what arrived after the outcome of this number.")]


@router.post("")
def add(name: EndpointName, batch: OutcomeBatch, control: Here, actor: Caller) -> OutcomeReceipt:
    """Keep outcomes, whole or not at all. The same again changes nothing; another label is a correction.

    They may come before the prediction is in the log, in any order, and as often as one likes.
    """
    actor.must_be(KeyRole.OPERATOR, "tell outcomes")
    with control.database.write() as transaction:
        return intake.take(transaction, name, batch, actor.name)


@router.get("")
def listed(
    name: EndpointName,
    control: Here,
    _: Caller,
    prediction_id: Prediction = None,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> list[OutcomeRecord]:
    """Return outcomes in the order in which they arrived, every revision: go on after the last one's `id`."""
    with control.database.read() as transaction:
        registry.endpoint_record(transaction, name)
        if prediction_id is not None:
            return outcomes.of_prediction(transaction, name, prediction_id)
        return outcomes.after(transaction, name, after, limit)
