"""Endpoints and their desired settings."""

from __future__ import annotations

from fastapi import APIRouter

from fairlead import registry
from fairlead.control.access import Caller
from fairlead.control.routes.shared import EndpointName, Here
from fairlead.schema.registry import EndpointRecord, EndpointSettings
from fairlead.store.state import endpoints

router = APIRouter(prefix="/endpoints", tags=["endpoints"])


@router.get("")
def listed(control: Here, _: Caller) -> list[EndpointRecord]:
    """Return all endpoints with the bundles that have a role on them."""
    with control.database.read() as transaction:
        return [registry.endpoint_record(transaction, stored.name) for stored in endpoints.listed(transaction)]


@router.get("/{name}")
def show(name: EndpointName, control: Here, _: Caller) -> EndpointRecord:
    """Return one endpoint."""
    with control.database.read() as transaction:
        return registry.endpoint_record(transaction, name)


@router.put("/{name}")
def put(name: EndpointName, settings: EndpointSettings, control: Here, actor: Caller) -> EndpointRecord:
    """Make the endpoint, or replace its settings: what is not given has its default again."""
    with control.change() as transaction:
        return registry.put_endpoint(transaction, control.publisher, name, settings, actor)
