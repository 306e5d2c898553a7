"""The control plane's own documents: keys, webhooks, replicas, health."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from fairlead.schema.base import Document
from fairlead.schema.registry import Microseconds

KeyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$")]


class KeyRole(StrEnum):
    """What a caller may do; each may do what those before it may, but `replica`, which stands apart."""

    REPLICA = "replica"
    """Fetch snapshots and the files of bundles, report telemetry; nothing else."""
    VIEWER = "viewer"
    """Read."""
    OPERATOR = "operator"
    """Push, tag, change settings, name challengers and shadows, report telemetry."""
    APPROVER = "approver"
    """Make a bundle champion."""
    ADMIN = "admin"
    """Keys and webhooks."""

    def covers(self, needed: KeyRole) -> bool:
        """Return True if who has this role may do what `needed` may."""
        if KeyRole.REPLICA in (self, needed):
            return self is needed
        order = list(KeyRole)
        return order.index(self) >= order.index(needed)


def _person(role: KeyRole) -> KeyRole:
    if role is KeyRole.REPLICA:
        raise ValueError("a replica approves nothing")
    return role


ApproverRole = Annotated[KeyRole, AfterValidator(_person)]
"""A role that may be asked for an approval."""


class KeyRequest(Document):
    name: KeyName
    role: KeyRole


class KeyRecord(Document):
    name: KeyName
    role: KeyRole
    created_us: Microseconds
    created_by: str
    revoked_us: Microseconds | None = None


class NewKey(Document):
    """Answered once: only the key's digest is kept."""

    record: KeyRecord
    key: str


class WebhookRequest(Document):
    url: str = Field(pattern=r"^https?://[^\s]+$", max_length=2_000)
    events: list[str] = Field(default_factory=lambda: ["*"], min_length=1)
    """Names of events (`role.moved`), or `*`."""


class WebhookRecord(Document):
    id: int
    url: str
    events: list[str]
    created_us: Microseconds
    created_by: str


class NewWebhook(Document):
    """Answered once: the secret signs every delivery."""

    record: WebhookRecord
    secret: str


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up after the last attempt."""


class DeliveryRecord(Document):
    """One event for one webhook."""

    id: int
    webhook: int
    event: str
    state: DeliveryState
    attempts: int
    created_us: Microseconds
    next_us: Microseconds
    last_error: str | None


class ReplicaRecord(Document):
    """A data-plane process as it last reported. A stale one is unknown, never healthy."""

    replica: str
    incarnation: Microseconds
    region: str | None
    generation: int
    """The snapshot that it had applied."""
    first_seen_us: Microseconds
    last_seen_us: Microseconds
    stale: bool


class TelemetryReceipt(Document):
    accepted: bool
    """False for what was known already: a replay, a duplicate, a late arrival."""


class Health(Document):
    """`ready` only where the database answers."""

    ready: bool
    leader: bool
    """This process runs the loops."""
    holder: str | None
    """Who does."""
    generation: int
    polls: int
    """Long polls that wait in this process."""
