"""Webhooks, and the outbox of what they have still to be told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select

from fairlead.schema.control import DeliveryRecord, DeliveryState, WebhookRecord, WebhookRequest
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import OutboxRow, WebhookRow

ALL = "*"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event to be told to one webhook."""

    id: int
    url: str
    secret: str
    event: str
    payload: str
    attempts: int
    """Those made before."""


def add(transaction: Transaction, wish: WebhookRequest, secret: str, actor: str) -> WebhookRecord:
    """Add a webhook."""
    row = WebhookRow(
        url=wish.url, secret=secret, events=list(wish.events), created_us=transaction.now_us, created_by=actor
    )
    transaction.session.add(row)
    transaction.session.flush()
    return _record(row)


def listed(transaction: Transaction) -> list[WebhookRecord]:
    """Return all webhooks by age."""
    return [_record(row) for row in transaction.session.scalars(select(WebhookRow).order_by(WebhookRow.id))]


def remove(transaction: Transaction, number: int) -> bool:
    """Remove a webhook and what it has not been told; false where there is none of that number."""
    row = transaction.session.get(WebhookRow, number)
    if row is not None:
        transaction.session.delete(row)
        transaction.session.flush()
    return row is not None


def announce(transaction: Transaction, event: str, what: Mapping[str, Any]) -> None:
    """Put an event in the outbox for each webhook that wants it; part of the transaction that it tells of."""
    now = transaction.now_us
    for row in transaction.session.scalars(select(WebhookRow)):
        if event in row.events or ALL in row.events:
            payload = json.dumps({"type": event, "time_us": now, "data": what}, sort_keys=True, ensure_ascii=False)
            transaction.session.add(
                OutboxRow(
                    webhook=row.id,
                    event=event,
                    payload=payload,
                    state=DeliveryState.PENDING.value,
                    attempts=0,
                    created_us=now,
                    next_us=now,
                )
            )
    transaction.session.flush()


def due(transaction: Transaction, limit: int) -> list[Delivery]:
    """Return the deliveries whose time has come, oldest first."""
    query = (
        select(OutboxRow, WebhookRow)
        .join(WebhookRow, OutboxRow.webhook == WebhookRow.id)
        .where(OutboxRow.state == DeliveryState.PENDING.value, OutboxRow.next_us <= transaction.now_us)
        .order_by(OutboxRow.id)
        .limit(limit)
    )
    return [
        Delivery(row.id, hook.url, hook.secret, row.event, row.payload, row.attempts)
        for row, hook in transaction.session.execute(query)
    ]


def delivered(transaction: Transaction, number: int) -> None:
    """Note that a delivery was taken."""
    row = transaction.session.get(OutboxRow, number)
    if row is not None:
        row.state, row.attempts, row.last_error = DeliveryState.DELIVERED.value, row.attempts + 1, None
        transaction.session.flush()


def failed(transaction: Transaction, number: int, why: str, again_in_us: int | None) -> None:
    """Note that an attempt failed; the next is in `again_in_us`, or None: there will be none."""
    row = transaction.session.get(OutboxRow, number)
    if row is None:
        return
    row.attempts, row.last_error = row.attempts + 1, why
    if again_in_us is None:
        row.state = DeliveryState.FAILED.value
    else:
        row.next_us = transaction.now_us + again_in_us
    transaction.session.flush()


def deliveries(transaction: Transaction, number: int, limit: int = 100) -> list[DeliveryRecord]:
    """Return the last deliveries of a webhook, newest first."""
    query = select(OutboxRow).where(OutboxRow.webhook == number).order_by(OutboxRow.id.desc()).limit(limit)
    return [
        DeliveryRecord(
            id=row.id,
            webhook=row.webhook,
            event=row.event,
            state=DeliveryState(row.state),
            attempts=row.attempts,
            created_us=row.created_us,
            next_us=row.next_us,
            last_error=row.last_error,
        )
        for row in transaction.session.scalars(query)
    ]


def forget(transaction: Transaction, age_us: int) -> None:
    """Remove deliveries older than `age_us` of which nothing more will come."""
    transaction.session.execute(
        delete(OutboxRow).where(
            OutboxRow.state != DeliveryState.PENDING.value, OutboxRow.created_us < transaction.now_us - age_us
        )
    )


def _record(row: WebhookRow) -> WebhookRecord:
    return WebhookRecord(
        id=row.id, url=row.url, events=list(row.events), created_us=row.created_us, created_by=row.created_by
    )
