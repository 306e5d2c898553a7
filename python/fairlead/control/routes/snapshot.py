"""GET /snapshot: the desired state, for replicas, by long poll."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from fairlead.control.access import CallerOrReplica
from fairlead.control.context import Control
from fairlead.control.routes.shared import Here
from fairlead.registry.desired import DOWNLOAD
from fairlead.schema.snapshot import Snapshot

LONGEST_SECONDS = 60.0

router = APIRouter(tags=["snapshot"])


@router.get(
    "/snapshot",
    response_model=Snapshot,
    responses={204: {"description": "Nothing newer came in time."}},
)
async def snapshot(
    request: Request,
    control: Here,
    _: CallerOrReplica,
    after: Annotated[int, Query(ge=-1, description="The generation that the replica has; -1: none.")] = -1,
    wait: Annotated[float, Query(ge=0, le=LONGEST_SECONDS, description="Seconds to wait for a newer one.")] = 0.0,
    region: Annotated[str | None, Query(max_length=100, description="Where the replica is.")] = None,
) -> Response:
    """Answer the whole snapshot as soon as it is newer than `after`, or 204 after `wait` seconds.

    A poll that waits outlives the database: it is answered when there is something to say.
    """
    del region  # every region is told the same until rollouts go through them one after the other
    found = await control.feed.newer_than(after, wait)
    if found is None:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    return Response(
        reachable(found, str(request.base_url), control).canonical_json(),
        media_type="application/json",
        headers={"Cache-Control": "no-store", "Fairlead-Generation": str(found.generation)},
    )


def reachable(found: Snapshot, base_url: str, control: Control) -> Snapshot:
    """Return the snapshot with download addresses made absolute; paths of a shared folder are left."""
    if control.storage.shared:
        return found
    before = (control.settings.public_url or base_url).rstrip("/")
    document = found.model_dump()
    for endpoint in document["endpoints"]:
        for variant in endpoint["variants"]:
            if variant["bundle"]["path"].startswith(DOWNLOAD):
                variant["bundle"]["path"] = before + variant["bundle"]["path"]
    return Snapshot.model_validate(document)
