"""Webhooks: who is told what, and what became of it."""

from __future__ import annotations

from fastapi import APIRouter

from fairlead.control.access import Caller
from fairlead.control.delivery import new_secret
from fairlead.control.routes.shared import Here
from fairlead.errors import ControlError
from fairlead.schema.control import DeliveryRecord, KeyRole, NewWebhook, WebhookRecord, WebhookRequest
from fairlead.store.state import webhooks

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


@router.post("", status_code=201)
def create(wish: WebhookRequest, control: Here, actor: Caller) -> NewWebhook:
    """Add a webhook. Its secret, which signs every delivery, is shown this once."""
    actor.must_be(KeyRole.ADMIN, "add a webhook")
    secret = new_secret()
    with control.database.change() as transaction:
        record = webhooks.add(transaction, wish, secret, actor.name)
    return NewWebhook(record=record, secret=secret)


@router.get("")
def listed(control: Here, actor: Caller) -> list[WebhookRecord]:
    """Return all webhooks, without their secrets."""
    actor.must_be(KeyRole.ADMIN, "see the webhooks")
    with control.database.read() as transaction:
        return webhooks.listed(transaction)


@router.delete("/{number}", status_code=204)
def remove(number: int, control: Here, actor: Caller) -> None:
    """Remove a webhook and what it was still to be told."""
    actor.must_be(KeyRole.ADMIN, "remove a webhook")
    with control.database.change() as transaction:
        if not webhooks.remove(transaction, number):
            raise ControlError(f"no webhook {number}", code="webhook_unknown")


@router.get("/{number}/deliveries")
def deliveries(number: int, control: Here, actor: Caller) -> list[DeliveryRecord]:
    """Return the last deliveries, newest first."""
    actor.must_be(KeyRole.ADMIN, "see the deliveries")
    with control.database.read() as transaction:
        if all(record.id != number for record in webhooks.listed(transaction)):
            raise ControlError(f"no webhook {number}", code="webhook_unknown")
        return webhooks.deliveries(transaction, number)
