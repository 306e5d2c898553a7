"""Roles: who has which on an endpoint, who had it when, and giving it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from fairlead import registry
from fairlead.control.access import Caller
from fairlead.control.routes.shared import A_TIME, EndpointName, Here, microseconds
from fairlead.errors import ControlError
from fairlead.schema.registry import RegistryRole, RoleAssignment, RoleHolder, RoleMove
from fairlead.store.state import roles

router = APIRouter(prefix="/endpoints/{name}", tags=["roles"])
At = Annotated[str | None, Query(description=A_TIME)]


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
