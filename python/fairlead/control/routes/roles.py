"""Roles: who has which on an endpoint, who had it when, and giving it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from fairlead import registry
from fairlead.control.access import Caller
from fairlead.control.routes.shared import EndpointName, Here
from fairlead.errors import ControlError
from fairlead.schema.registry import RegistryRole, RoleAssignment, RoleHolder, RoleMove
from fairlead.store.state import roles

router = APIRouter(prefix="/endpoints/{name}", tags=["roles"])
At = Annotated[str | None, Query(description="A time: ISO 8601 (without an offset: UTC), or microseconds since 1970.")]


@router.get("/roles")
def present(name: EndpointName, control: Here, _: Caller) -> list[RoleHolder]:
    """Return the present roles."""
    with control.database.read() as transaction:
        return registry.endpoint_record(transaction, name).roles


@router.get("/roles/{role}")
def holder(name: EndpointName, role: RegistryRole, control: Here, _: Caller, at: At = None) -> RoleMove:
    """Return the move that gave the role to the bundle that has it, or had it at a time."""
    if role not in (RegistryRole.CHAMPION, RegistryRole.CHALLENGER):
        raise ControlError(f"several bundles can be {role.value} at a time", code="move_refused")
    with control.database.read() as transaction:
        when = microseconds(at) if at is not None else 2**62
        return registry.champion_at(transaction, name, when, role)


@router.get("/history")
def history(
    name: EndpointName, control: Here, _: Caller, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> list[RoleMove]:
    """Return the last moves, newest first."""
    with control.database.read() as transaction:
        registry.endpoint_record(transaction, name)
        return roles.history(transaction, endpoint=name, limit=limit)


@router.put("/roles/{role}")
def assign(
    name: EndpointName, role: RegistryRole, wish: RoleAssignment, control: Here, actor: Caller
) -> list[RoleMove]:
    """Give a bundle a role; the moves made are answered, newest first."""
    with control.change() as transaction:
        return registry.assign(transaction, control.publisher, (name, role), wish, actor)


def microseconds(text: str) -> int:
    """Return a time in microseconds since 1970; raises `ControlError`."""
    if text.isdecimal():
        return int(text)
    try:
        time = datetime.fromisoformat(text.replace(" ", "+"))  # a plus that was not escaped in the query
    except ValueError:
        raise ControlError(f"{text!r} is no time", code="invalid_request") from None
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
