"""The leader's duty: look at every active rollout, decide, commit. State is in the database only, so that whoever
leads next goes on where this one was.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from fairlead.control.context import Control
from fairlead.control.rollouts.effects import Change, commit
from fairlead.control.rollouts.look import Reports
from fairlead.errors import ControlError
from fairlead.rollout.engine import decide, is_news
from fairlead.store.state import leases, rollouts
from fairlead.store.state.leases import Lease
from fairlead.store.state.rollouts import StoredRollout

_log = logging.getLogger("fairlead.control")


@dataclass(frozen=True, slots=True)
class Pilot:
    """Takes rollouts from step to step."""

    control: Control

    async def steer(self, lease: Lease) -> None:
        """Decide once on every active rollout."""
        await asyncio.to_thread(self.tick, lease)

    def tick(self, lease: Lease) -> None:
        """As `steer`, in this thread. One rollout's trouble is not another's."""
        for stored, change in self._decided():
            try:
                self._commit(lease, stored, change)
            except ControlError as error:
                if error.code != "rollout_moved":  # somebody was faster: what follows is decided at the next look
                    _log.warning("rollout %s: %s", stored.rollout.name, error.message)

    def _decided(self) -> list[tuple[StoredRollout, Change]]:
        """Decide in a transaction that only reads: statistics hold nobody up."""
        found: list[tuple[StoredRollout, Change]] = []
        with self.control.database.read() as transaction:
            active = rollouts.listed(transaction, active_only=True)
            if not active:
                return found
            reports = Reports.read(transaction, self.control.stale_us, active)
        for stored in active:
            state, decision = decide(stored.rollout, stored.state, reports.on(stored), reports.now_us)
            if is_news(stored.state, state, decision):
                found.append((stored, Change(state, decision)))
        return found

    def _commit(self, lease: Lease, stored: StoredRollout, change: Change) -> None:
        with self.control.change() as transaction:
            if leases.still_held(transaction, lease):
                commit(transaction, self.control.publisher, stored, change)
