"""Who asks: an API key's owner, or, on a machine of one's own without keys, whoever sits at it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from fairlead.control.context import Control, control_of
from fairlead.control.settings import is_loopback
from fairlead.errors import ControlError
from fairlead.registry import Actor
from fairlead.schema.control import KeyRecord, KeyRequest, KeyRole, NewKey
from fairlead.store.state import Transaction, keys

PREFIX = "flk_"
LOCAL = "local"
COMPANION = "data-plane"
RESERVED = {LOCAL, COMPANION, "mlflow", "control"}
"""Actors that are no keys."""


def digest(key: str) -> str:
    """Return what is kept of a key. It has 256 random bits, so a fast hash is as good as a slow one."""
    return hashlib.sha256(key.encode()).hexdigest()


def make_key(transaction: Transaction, wish: KeyRequest, actor: str) -> NewKey:
    """Make an API key; raises `ControlError` where the name is in use, or was."""
    key = PREFIX + secrets.token_urlsafe(32)
    record = KeyRecord(name=wish.name, role=wish.role, created_us=transaction.now_us, created_by=actor)
    if wish.name in RESERVED or not keys.add(transaction, record, digest(key)):
        raise ControlError(f"there is, or was, a key {wish.name!r}", code="name_taken")
    return NewKey(record=record, key=key)


def anybody(request: Request, control: Annotated[Control, Depends(control_of)]) -> Actor:
    """Return who asks, a replica or not; raises `ControlError`."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    with control.database.read() as transaction:
        if scheme.lower() == "bearer" and key:
            if hmac.compare_digest(key.strip().encode(), control.settings.companion_key.encode()):
                return Actor(COMPANION, KeyRole.REPLICA)
            record = keys.valid(transaction, digest(key.strip()))
            if record is not None:
                return Actor(record.name, record.role)
            raise ControlError("this API key is not valid", code="unauthenticated")
        if control.settings.private and _from_here(request) and not keys.any_made(transaction):
            return Actor(LOCAL, KeyRole.ADMIN)
    raise ControlError("an API key is needed", code="unauthenticated")


def person(actor: Annotated[Actor, Depends(anybody)]) -> Actor:
    """Return who asks; raises `ControlError` for a replica."""
    if actor.role is KeyRole.REPLICA:
        raise ControlError(
            f"{actor.name} is {actor.role.value}, which fetches snapshots and bundles' files and reports telemetry",
            code="forbidden",
        )
    return actor


def _from_here(request: Request) -> bool:
    """Return True if a program on this machine asks, and not a page in a browser that was lured here."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    origin = request.headers.get("origin")
    same = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    client = request.client.host if request.client is not None else ""
    return is_loopback(host) and is_loopback(client) and same


Caller = Annotated[Actor, Depends(person)]
"""Any valid caller but a replica may read; what changes something asks for more."""
CallerOrReplica = Annotated[Actor, Depends(anybody)]
"""For the few routes that replicas need."""
