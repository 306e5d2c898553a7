"""What the routes and loops of one process share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from fastapi import Request

from fairlead.control.feed import Feed
from fairlead.control.leader import Leadership
from fairlead.control.settings import Settings
from fairlead.registry import Publisher
from fairlead.store.objects import BundleStorage
from fairlead.store.state import Database, Transaction


@dataclass(frozen=True)
class Control:
    """Everything with a life of its own in a control-plane process."""

    settings: Settings
    database: Database
    storage: BundleStorage
    publisher: Publisher
    feed: Feed
    leadership: Leadership

    @contextmanager
    def change(self) -> Iterator[Transaction]:
        """Give a transaction that may change the desired state; who waits for a snapshot is woken after it."""
        with self.database.change() as transaction:
            yield transaction
        self.feed.poke()

    @property
    def stale_us(self) -> int:
        """The silence after which a replica is stale."""
        return round(self.settings.stale_seconds * 1_000_000)


def control_of(request: Request) -> Control:
    """Return the process's `Control`, for routes to depend on."""
    return cast("Control", request.app.state.control)
