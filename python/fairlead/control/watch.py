"""Noticing replicas that have gone silent."""

from __future__ import annotations

import asyncio

from fairlead.schema.registry import Verdict
from fairlead.store.state import Database, decisions, leases, replicas, webhooks
from fairlead.store.state.decisions import Decision
from fairlead.store.state.leases import Lease

ACTOR = "control"


class StaleWatch:
    """Marks replicas that no longer report, and says so once for each silence."""

    def __init__(self, database: Database, stale_us: int) -> None:
        """Take the silence after which a replica is stale."""
        self._database, self._stale_us = database, stale_us

    async def mark(self, lease: Lease) -> None:
        """Look once."""
        await asyncio.to_thread(self._mark, lease)

    def _mark(self, lease: Lease) -> None:
        with self._database.write() as transaction:
            if not leases.still_held(transaction, lease):
                return
            for name in replicas.mark_stale(transaction, self._stale_us):
                evidence = {
                    "silent_us": self._stale_us,
                    "others_reporting": replicas.living(transaction, self._stale_us),
                }
                decision = Decision("replica.stale", name, Verdict.ERROR, ACTOR, evidence=evidence)
                decisions.record(transaction, decision)
                webhooks.announce(transaction, "replica.stale", {"replica": name})
