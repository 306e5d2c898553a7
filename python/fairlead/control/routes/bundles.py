"""Bundles: push, list, show, compare, download, tag."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse

from fairlead import registry
from fairlead.control.access import Caller, CallerOrReplica
from fairlead.control.arrival import receive
from fairlead.control.routes.shared import Digits, Here
from fairlead.errors import ControlError
from fairlead.schema.control import KeyRole
from fairlead.schema.registry import BundleDiff, BundleRecord, BundleView, TagKey, TagValue
from fairlead.store.state import bundles

router = APIRouter(prefix="/bundles", tags=["bundles"])
Key = Annotated[TagKey, Path(description="Name of the tag.")]
_HEAD = {"manifest.json", "DIGEST"}


@router.post("", status_code=201, responses={200: {"description": "The bundle was there already."}})
async def push(request: Request, response: Response, control: Here, actor: Caller) -> BundleRecord:
    """Take a bundle's folder as an uncompressed tar archive, verify it, and keep it."""
    actor.must_be(KeyRole.OPERATOR, "push a bundle")
    with control.storage.staging() as folder:
        await receive(request.stream(), folder, control.settings.max_bundle_bytes)
        record, new = await anyio.to_thread.run_sync(registry.push, control.database, control.storage, folder, actor)
    response.status_code = 201 if new else 200
    return record


@router.get("")
def listed(control: Here, _: Caller, name: str | None = None) -> list[BundleRecord]:
    """Return all bundles, or those of one name."""
    with control.database.read() as transaction:
        return bundles.listed(transaction, name)


@router.get("/{digits}")
def show(digits: Digits, control: Here, _: Caller) -> BundleView:
    """Return a bundle's documents and roles."""
    with control.database.read() as transaction:
        return registry.view(transaction, digits)


@router.get("/{digits}/diff/{other}")
def diff(digits: Digits, other: Digits, control: Here, _: Caller) -> BundleDiff:
    """Return what changed from the first bundle to the other."""
    with control.database.read() as transaction:
        return registry.compare(registry.resolve(transaction, digits), registry.resolve(transaction, other))


@router.get("/{digits}/files/{path:path}", response_class=StreamingResponse)
def download(digits: Digits, path: str, control: Here, _: CallerOrReplica) -> StreamingResponse:
    """Return one of the bundle's files: for replicas that cannot read bundle storage themselves."""
    with control.database.read() as transaction:
        record, documents = registry.resolve(transaction, digits)
    if path not in _HEAD and path not in {entry.path for entry in documents.manifest.files}:
        raise ControlError(f"bundle {record.sha256[:12]} has no file {path!r}", code="file_unknown")
    pieces = control.storage.read(record.location, path)
    return StreamingResponse(_begun(pieces, path), media_type="application/octet-stream")


@router.put("/{digits}/tags/{key}")
def tag(digits: Digits, key: Key, value: TagValue, control: Here, actor: Caller) -> BundleRecord:
    """Set a tag."""
    with control.change() as transaction:
        return registry.set_tag(transaction, digits, (key, value.value), actor)


@router.delete("/{digits}/tags/{key}")
def untag(digits: Digits, key: Key, control: Here, actor: Caller) -> BundleRecord:
    """Remove a tag; harmless where it is not set."""
    with control.change() as transaction:
        return registry.set_tag(transaction, digits, (key, None), actor)


def _begun(pieces: Iterator[bytes], path: str) -> Iterator[bytes]:
    """Read the first piece now, while an error can still become a status."""
    try:
        first = next(pieces, b"")
    except FileNotFoundError:
        raise ControlError(f"bundle storage has no {path!r}", code="file_unknown") from None
    return chain([first], pieces)
