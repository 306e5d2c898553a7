"""What was counted, and by how many of those who should."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

from fairlead.errors import ControlError
from fairlead.rollout.assessment import assess
from fairlead.rollout.counting import Reporting, evidence_of
from fairlead.schema.control import ReplicaRecord
from fairlead.schema.rollout_state import Evidence, RolloutView
from fairlead.schema.telemetry import Telemetry
from fairlead.store.state import Transaction, replicas, rollouts, snapshots, telemetry
from fairlead.store.state.rollouts import StoredRollout

APPLY_US = 60_000_000
"""How long a replica may take to load what it is told; one that takes longer holds the rollouts that it serves."""
FORGOTTEN_US = 300_000_000
"""A replica that is silent for this long is taken to be gone: until then its silence holds every rollout."""


def found(transaction: Transaction, name: str) -> StoredRollout:
    """Return the rollout; raises `ControlError`."""
    stored = rollouts.get(transaction, name)
    if stored is None:
        raise ControlError(f"no rollout {name!r}", code="rollout_unknown")
    return stored


@dataclass(frozen=True, slots=True)
class Reports:
    """What all replicas have reported, and when they last did: read once for all rollouts."""

    newest: list[Telemetry]
    replicas: list[ReplicaRecord]
    now_us: int
    settled: int
    """The generation that every replica should have applied by now."""

    @classmethod
    def read(cls, transaction: Transaction, stale_us: int) -> Self:
        """Read them."""
        now = transaction.now_us
        settled = snapshots.generation(transaction, now - APPLY_US)
        return cls(telemetry.newest(transaction), replicas.listed(transaction, stale_us), now, settled)

    def on(self, stored: StoredRollout) -> Evidence:
        """Return all that is known of the rollout now."""
        endpoint = stored.rollout.spec.endpoint
        served = {one.replica for one in self.newest if any(found.name == endpoint for found in one.endpoints)}
        reporting = reporting_of(self.replicas, served, self.now_us, self.settled)
        return evidence_of(endpoint, stored.state, self.newest, reporting)

    def view(self, stored: StoredRollout) -> RolloutView:
        """Return the rollout with what the counts say now."""
        known = self.on(stored)
        return RolloutView(
            rollout=stored.rollout,
            state=stored.state,
            evidence=known,
            assessments=assess(stored.rollout, stored.state, known),
            revision=stored.revision,
            created_us=stored.created_us,
            created_by=stored.created_by,
            updated_us=stored.updated_us,
        )


def view(transaction: Transaction, stored: StoredRollout, stale_us: int) -> RolloutView:
    """Return the rollout with what the counts say now."""
    return Reports.read(transaction, stale_us).view(stored)


def reporting_of(known: Sequence[ReplicaRecord], served: Collection[str], now_us: int, settled: int = 0) -> Reporting:
    """Return who reports of those who should: everybody who does, and who served the endpoint and has gone silent."""
    fresh = [one for one in known if not one.stale]
    silent = [one for one in known if one.stale and one.replica in served and now_us - one.last_seen_us < FORGOTTEN_US]
    oldest = min((one.last_seen_us for one in (*fresh, *silent)), default=now_us)
    return Reporting(
        expected=len(fresh) + len(silent),
        reporting=len(fresh),
        now_us=now_us,
        oldest_us=max(0, now_us - oldest),
        behind=sum(one.generation < settled for one in fresh if one.replica in served),
        regions=tuple(sorted({one.region for one in fresh if one.region is not None})),
    )
