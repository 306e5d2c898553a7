"""The newest snapshot, and whoever waits for one that is newer than what they have."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from fairlead.errors import StoreError
from fairlead.schema.snapshot import Snapshot
from fairlead.store.state import Database, snapshots

POLL_SECONDS = 0.25
"""How late another process's change is noticed."""
_log = logging.getLogger("fairlead.control")


class Feed:
    """One reader of the database for all who wait: while the database is away, they go on waiting."""

    def __init__(self, database: Database) -> None:
        """Know nothing yet; `watch` does the rest."""
        self._database = database
        self._newest = Snapshot(generation=0)
        self._changed = asyncio.Event()
        self._poked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closing = False
        self.waiting = 0
        """How many wait."""

    @property
    def newest(self) -> Snapshot:
        """The newest snapshot that was seen."""
        return self._newest

    async def start(self) -> None:
        """Read the newest snapshot for the first time; raises `StoreError`."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._look)

    async def watch(self) -> None:
        """Follow the database for ever."""
        away = False
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._poked.wait(), POLL_SECONDS)
            self._poked.clear()
            before = self._newest.generation
            try:
                await asyncio.to_thread(self._look)
            except StoreError as error:
                if not away:
                    _log.warning("%s; waiting for it", error.message)
                away = True
                continue
            if away:
                _log.warning("the state database answers again")
                away = False
            if self._newest.generation != before:
                self._wake()

    def _look(self) -> None:
        with self._database.read() as transaction:
            if snapshots.generation(transaction) != self._newest.generation:
                self._newest = snapshots.newest(transaction)

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()

    def poke(self) -> None:
        """Look now; may be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._poked.set)

    def close(self) -> None:
        """Let everybody go who waits; may be called from any thread, and from a signal handler."""
        self.closing = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake)

    async def newer_than(self, generation: int, seconds: float) -> Snapshot | None:
        """Return a snapshot newer than `generation` as soon as there is one; None where none came in time."""
        deadline = time.monotonic() + seconds
        while True:
            changed = self._changed  # taken before the look, so that no change is missed between the two
            if self._newest.generation > generation:
                return self._newest
            left = deadline - time.monotonic()
            if left <= 0 or self.closing:
                return None
            self.waiting += 1
            try:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), left)
            finally:
                self.waiting -= 1
