"""GET /decisions: what was decided, by whom, on which evidence."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from fairlead.control.access import Caller
from fairlead.control.routes.shared import A_TIME, Here, microseconds
from fairlead.schema.base import Document
from fairlead.schema.registry import DecisionRecord
from fairlead.store.state import decisions
from fairlead.store.state.decisions import Wanted

router = APIRouter(tags=["decisions"])


class Page(Document):
    """Which decisions, and how many of them."""

    endpoint: str | None = None
    kind: str | None = None
    rollout: str | None = None
    since: str | None = Field(default=None, description=f"At this time or later. {A_TIME}")
    until: str | None = Field(default=None, description=f"Before this time. {A_TIME}")
    before: int | None = Field(default=None, ge=1, lt=2**63, description="Older than the decision of this number.")
    limit: int = Field(default=100, ge=1, le=1_000)

    def wanted(self) -> Wanted:
        """Return it without its size; raises `ControlError` for what is no time."""
        return Wanted(
            endpoint=self.endpoint,
            kind=self.kind,
            rollout=self.rollout,
            since_us=None if self.since is None else microseconds(self.since),
            until_us=None if self.until is None else microseconds(self.until),
            before=self.before,
        )


@router.get("/decisions")
def listed(
    request: Request, response: Response, control: Here, _: Caller, page: Annotated[Page, Query()]
) -> list[DecisionRecord]:
    """Return the last decisions, newest first. Where there are more, the header `Link` has the next page."""
    wanted = page.wanted()
    with control.database.read() as transaction:
        found = decisions.listed(transaction, wanted, page.limit + 1)
    if len(found) > page.limit:
        following = urlencode({**request.query_params, "before": found[page.limit - 1].id})
        response.headers["Link"] = f'<?{following}>; rel="next"'
    return found[: page.limit]
