"""What was counted, and by how many of those who should."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from fairlead.errors import ControlError
from fairlead.rollout.assessment import assess
from fairlead.rollout.counting import Reporting, evidence_of
from fairlead.schema.control import ReplicaRecord
from fairlead.schema.guardrail import GuardrailKind
from fairlead.schema.outcome_evidence import OutcomeEvidence
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import Evidence, RolloutView
from fairlead.schema.telemetry import Telemetry
from fairlead.store.state import Transaction, outcomes, replicas, rollouts, snapshots, telemetry
from fairlead.store.state.rollouts import StoredRollout

APPLY_US = 60_000_000
"""How long a replica may take to load what it is told; one that takes longer holds the rollouts that it serves."""
FORGOTTEN_US = 300_000_000
"""A replica that is silent for this long is taken to be gone: until then its silence holds every rollout."""
JOINED_US = 60_000_000
"""How old the join of outcomes and predictions may be before it holds the rollouts that ask for it."""


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
    outcomes: Mapping[tuple[str, int], OutcomeEvidence] = field(default_factory=dict)
    """By rollout and run."""

    @classmethod
    def read(cls, transaction: Transaction, stale_us: int, wanted: Iterable[StoredRollout]) -> Self:
        """Read them, and what outcomes come to for the rollouts that are `wanted`."""
        now = transaction.now_us
        settled = snapshots.generation(transaction, now - APPLY_US)
        known = replicas.listed(transaction, stale_us)
        asking = [stored.rollout.name for stored in wanted if asks_for_outcomes(stored.rollout)]
        joined = outcomes.evidence(transaction, asking) if asking else {}
        return cls(telemetry.newest(transaction), known, now, settled, joined)

    def on(self, stored: StoredRollout) -> Evidence:
        """Return all that is known of the rollout now."""
        endpoint = stored.rollout.spec.endpoint
        served = {one.replica for one in self.newest if any(found.name == endpoint for found in one.endpoints)}
        reporting = reporting_of(self.replicas, served, self.now_us, self.settled)
        counted = evidence_of(endpoint, stored.state, self.newest, reporting)
        if not asks_for_outcomes(stored.rollout):
            return counted
        joined = self.outcomes.get((stored.rollout.name, stored.state.run))
        if joined is None or not stored.state.phase.ended:
            joined = joined_lately(joined, self.now_us)
        return counted.model_copy(update={"outcomes": joined})

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


def asks_for_outcomes(rollout: Rollout) -> bool:
    """Whether a guardrail needs to know what became of units."""
    return any(one.kind is GuardrailKind.OUTCOME for one in rollout.spec.guardrails)


def joined_lately(joined: OutcomeEvidence | None, now_us: int) -> OutcomeEvidence:
    """Return what outcomes come to; with a problem where that is nothing yet, or old."""
    if joined is None:
        return OutcomeEvidence(problem="outcomes were not joined with predictions yet")
    if joined.problem is None and now_us - joined.as_of_us > JOINED_US:
        return joined.model_copy(update={"problem": "outcomes are no longer joined with predictions"})
    return joined


def view(transaction: Transaction, stored: StoredRollout, stale_us: int) -> RolloutView:
    """Return the rollout with what the counts say now."""
    return Reports.read(transaction, stale_us, [stored]).view(stored)


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
