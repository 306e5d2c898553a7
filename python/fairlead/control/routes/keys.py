"""API keys: make, list, revoke."""

from __future__ import annotations

from fastapi import APIRouter

from fairlead.control.access import Caller, make_key
from fairlead.control.routes.shared import Here
from fairlead.errors import ControlError
from fairlead.schema.control import KeyName, KeyRecord, KeyRequest, KeyRole, NewKey
from fairlead.schema.registry import Verdict
from fairlead.store.state import decisions, keys
from fairlead.store.state.decisions import Decision

router = APIRouter(prefix="/keys", tags=["keys"])


@router.post("", status_code=201)
def create(wish: KeyRequest, control: Here, actor: Caller) -> NewKey:
    """Make a key. It is shown this once. The first key ends the time in which this machine needs none."""
    actor.must_be(KeyRole.ADMIN, "make an API key")
    with control.database.change() as transaction:
        made = make_key(transaction, wish, actor.name)
        evidence = {"role": wish.role.value}
        decisions.record(transaction, Decision("key.created", wish.name, Verdict.PASS, actor.name, evidence=evidence))
    return made


@router.get("")
def listed(control: Here, actor: Caller) -> list[KeyRecord]:
    """Return all keys, without what they are."""
    actor.must_be(KeyRole.ADMIN, "see the API keys")
    with control.database.read() as transaction:
        return keys.listed(transaction)


@router.delete("/{name}")
def revoke(name: KeyName, control: Here, actor: Caller) -> KeyRecord:
    """Make a key invalid for good."""
    actor.must_be(KeyRole.ADMIN, "revoke an API key")
    with control.database.change() as transaction:
        record = keys.revoke(transaction, name)
        if record is None:
            raise ControlError(f"no key {name!r}", code="key_unknown")
        decisions.record(transaction, Decision("key.revoked", name, Verdict.PASS, actor.name))
    return record
