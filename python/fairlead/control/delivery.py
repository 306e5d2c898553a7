"""Telling webhooks, at least once and in any order; signed as Standard Webhooks (standardwebhooks.com) has it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time

import httpx

from fairlead.store.state import Database, leases, webhooks
from fairlead.store.state.leases import Lease
from fairlead.store.state.webhooks import Delivery

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with
ATTEMPT_SECONDS = 10.0
BATCH = 20
FIRST_US = 1_000_000
LONGEST_US = 3_600_000_000
ATTEMPTS = 14
"""About nine hours from the first to the last."""


def new_secret() -> str:
    """Return a secret for a webhook."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, message: str, timestamp: int, payload: str) -> str:
    """Return the header `webhook-signature`: HMAC-SHA256 over `id.timestamp.payload`."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    found = hmac.new(key, f"{message}.{timestamp}.{payload}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(found).decode()}"


def wait_us(attempts: int) -> int | None:
    """Return the time from the failed attempt of that number (from 1) to the next; None: that was the last."""
    return None if attempts >= ATTEMPTS else min(FIRST_US * 2 ** (attempts - 1), LONGEST_US)


class Courier:
    """Empties the outbox."""

    def __init__(
        self, database: Database, source: str | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Take the database, the control plane's public address, and for tests a transport."""
        self._database = database
        self._source = {} if source is None else {"fairlead-source": source}
        self._http = httpx.AsyncClient(
            timeout=ATTEMPT_SECONDS, follow_redirects=False, trust_env=False, transport=transport
        )

    async def deliver_due(self, lease: Lease) -> None:
        """Try everything whose time has come, and note what became of it."""
        due = await asyncio.to_thread(self._due, lease)
        await asyncio.gather(*(self._deliver(lease, delivery) for delivery in due))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _due(self, lease: Lease) -> list[Delivery]:
        with self._database.read() as transaction:
            held = leases.holder(transaction, lease.name) == lease.holder
            return webhooks.due(transaction, BATCH) if held else []

    async def _deliver(self, lease: Lease, delivery: Delivery) -> None:
        why = await self._attempt(delivery)
        await asyncio.to_thread(self._note, lease, delivery, why)

    async def _attempt(self, delivery: Delivery) -> str | None:
        message, now = f"msg_{delivery.id}", int(time.time())
        headers = {
            **self._source,
            "content-type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(delivery.secret, message, now, delivery.payload),
        }
        try:
            answer = await self._http.post(delivery.url, content=delivery.payload.encode(), headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{type(error).__name__}: {error}"
        return None if answer.is_success else f"answered {answer.status_code}"

    def _note(self, lease: Lease, delivery: Delivery, why: str | None) -> None:
        with self._database.write() as transaction:
            if not leases.still_held(transaction, lease):
                return  # another leads and will try; better twice than never
            if why is None:
                webhooks.delivered(transaction, delivery.id)
            else:
                webhooks.failed(transaction, delivery.id, why, wait_us(delivery.attempts + 1))
