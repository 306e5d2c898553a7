"""Keeping the tables small that grow by themselves. Decisions and histories are not among them: those only grow."""

from __future__ import annotations

import asyncio

from fairlead.control.rollouts.look import FORGOTTEN_US
from fairlead.store.state import Database, leases, replicas, rollouts, snapshots, telemetry, webhooks
from fairlead.store.state.leases import Lease

KEPT_US = 30 * 86_400_000_000
"""For so long: deliveries of which nothing more will come, and replicas that are silent, with what they counted."""
KEPT_SNAPSHOTS = 1_000


class Pruner:
    """Removes what nobody will ask for; what a running rollout counts on stays."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    async def prune(self, lease: Lease) -> None:
        """Do it once."""
        await asyncio.to_thread(self._prune, lease)

    def _prune(self, lease: Lease) -> None:
        with self._database.write() as transaction:
            if not leases.still_held(transaction, lease):
                return
            telemetry.fold(transaction, FORGOTTEN_US)
            telemetry.forget(transaction, KEPT_US, rollouts.busy(transaction))
            replicas.forget(transaction, KEPT_US)
            webhooks.forget(transaction, KEPT_US)
            snapshots.forget(transaction, KEPT_SNAPSHOTS)
