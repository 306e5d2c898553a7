"""One of the control planes runs the loops: the one that holds the lease."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from fairlead.errors import StoreError
from fairlead.store.state import Database, leases
from fairlead.store.state.leases import Lease

NAME = "leader"
RENEWALS = 3
"""Attempts to renew within the time of a lease."""
_log = logging.getLogger("fairlead.control")


class Leadership:
    """This process's hold of the leader lease.

    The database's clock says who holds it. This process counts from *before* it asked, so it gives up no later than
    the database gives the lease to another; and what a leader writes is checked against the lease once more
    (`leases.still_held`) in the same transaction.
    """

    def __init__(self, database: Database, holder: str, seconds: float) -> None:
        """Hold nothing yet."""
        self._database, self._holder, self._seconds = database, holder, seconds
        self._lease: Lease | None = None
        self._until = 0.0

    @property
    def held(self) -> Lease | None:
        """The lease, if this process leads."""
        return self._lease if time.monotonic() < self._until else None

    async def campaign(self) -> None:
        """Take the lease whenever it is free, and renew it while it is held, for ever."""
        while True:
            await self.attempt()
            await asyncio.sleep(self._seconds / RENEWALS)

    async def attempt(self) -> None:
        """Take or renew the lease once; while the database is away nothing changes until the time is up."""
        asked = time.monotonic()
        led = self.held is not None
        try:
            lease = await asyncio.to_thread(self._acquire)
        except StoreError:
            return
        self._lease, self._until = lease, asked + self._seconds
        if lease is not None and not led:
            _log.warning("leading, term %d", lease.term)
        elif lease is None and led:
            _log.warning("no longer leading")

    def _acquire(self) -> Lease | None:
        with self._database.write() as transaction:
            return leases.acquire(transaction, NAME, self._holder, self._seconds)

    def resign(self) -> None:
        """Give the lease back, so that another leads at once."""
        lease, self._until = self.held, 0.0
        if lease is not None:
            try:
                with self._database.write() as transaction:
                    leases.release(transaction, lease)
            except StoreError as error:
                _log.warning("the lease was not given back: %s", error.message)


async def duty(leadership: Leadership, every: float, work: Callable[[Lease], Awaitable[None]]) -> None:
    """Do `work` every so many seconds while this process leads. What fails is said, and tried again."""
    said: str | None = None
    while True:
        lease = leadership.held
        if lease is not None:
            try:
                await work(lease)
                said = None
            except Exception as error:  # noqa: BLE001 - a loop that ended would be missed by nobody
                words = f"{type(error).__name__}: {error}"
                if words != said:
                    _log.warning("%s failed: %s", getattr(work, "__name__", "a loop"), words)
                said = words
        await asyncio.sleep(every)
