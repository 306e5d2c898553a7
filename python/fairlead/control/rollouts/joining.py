"""The leader's duty: read what the prediction log has more, and which outcomes have come, and keep what they come to.

What is kept is small (`schema.outcome_evidence`) and in the database, so that every control plane sees it. What was
read is in this process's memory only: whoever leads next reads the log again from the rollout's beginning, and holds
the rollout until that is done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fairlead.control.context import Control
from fairlead.control.rollouts.look import asks_for_outcomes
from fairlead.control.settings import LogFolder
from fairlead.errors import BadInputError, LogError
from fairlead.rollout.exposure import Exposed, Rows
from fairlead.rollout.outcomes import Told, counts_of, ids_of
from fairlead.schema.guardrail import GuardrailKind
from fairlead.schema.outcome_evidence import OutcomeCounts, OutcomeEvidence
from fairlead.schema.outcomes import OutcomeRecord
from fairlead.store.state import leases, outcomes, rollouts
from fairlead.store.state.leases import Lease
from fairlead.store.state.rollouts import StoredRollout
from fairlead.store.tail import LogTail

ROWS_AT_A_LOOK = 200_000
"""Of each log, for each rollout."""
OUTCOMES_AT_A_LOOK = 50_000
HORIZON_US = 2_000_000
"""Rows younger than this wait for the next look: the state that was read may not know of their allocation yet."""
CLOCKS_US = 3_600_000_000
"""How far clocks and file times may be apart, where segments from before the rollout are passed over."""
FORGET_US = 86_400_000_000
"""An outcome that has found no prediction by then is of one that is not compared: only their number is kept."""
SAVE_US = 10_000_000
"""How often evidence is written that has not changed."""
RESTS = 20
"""How many times as long as the evidence took to compute it is then left alone."""
_log = logging.getLogger("fairlead.control")


class Joiner:
    """Keeps the outcomes of active rollouts joined with their predictions."""

    def __init__(self, control: Control) -> None:
        """Know nothing yet."""
        self._control = control
        self._joined: dict[tuple[str, int], Joined] = {}

    async def join(self, lease: Lease) -> None:
        """Look once at every active rollout that asks for outcomes."""
        await asyncio.to_thread(self.look, lease)

    def look(self, lease: Lease) -> None:
        """As `join`, in this thread."""
        told: list[tuple[StoredRollout, Joined, list[OutcomeRecord]]] = []
        with self._control.database.read() as transaction:
            now = transaction.now_us
            for stored in rollouts.listed(transaction, active_only=True):
                if asks_for_outcomes(stored.rollout):
                    joined, endpoint = self._of(stored), stored.rollout.spec.endpoint
                    if joined.number is None:
                        joined.number = outcomes.first_since(transaction, endpoint, stored.state.started_us)
                    more = outcomes.after(transaction, endpoint, joined.number, OUTCOMES_AT_A_LOOK)
                    told.append((stored, joined, more))
        active = {(stored.rollout.name, stored.state.run) for stored, _, _ in told}
        self._joined = {key: joined for key, joined in self._joined.items() if key in active}
        found = [(stored, joined, self._look_at(stored, joined, (more, now))) for stored, joined, more in told]
        news = [(stored, joined, evidence) for stored, joined, evidence in found if joined.is_news(evidence)]
        if not news:
            return
        with self._control.database.write() as transaction:
            if not leases.still_held(transaction, lease):
                return
            for stored, _, evidence in news:
                outcomes.keep_evidence(transaction, stored.rollout.name, stored.state.run, evidence)
        for _, joined, evidence in news:
            joined.saved = evidence

    def _look_at(
        self, stored: StoredRollout, joined: Joined, news: tuple[Sequence[OutcomeRecord], int]
    ) -> OutcomeEvidence:
        """As `Joined.look`. One rollout's trouble is not another's."""
        try:
            return joined.look(stored, *news)
        except Exception as error:  # noqa: BLE001 - a rollout that is not joined must say so, whatever the reason
            _log.exception("rollout %s: outcomes were not joined", stored.rollout.name)
            # What was half read is read again from the beginning.
            self._joined.pop((stored.rollout.name, stored.state.run), None)
            return OutcomeEvidence(as_of_us=news[1], problem=f"outcomes cannot be joined: {type(error).__name__}")

    def _of(self, stored: StoredRollout) -> Joined:
        key = stored.rollout.name, stored.state.run
        if key not in self._joined:
            self._joined[key] = Joined.begun(stored, self._control.settings.logs)
        return self._joined[key]


@dataclass(slots=True)
class Joined:
    """What was read for one run of a rollout."""

    tails: Sequence[tuple[LogTail, str | None]]
    """Each with the region of its replicas."""
    number: int | None = None
    """Of the last outcome."""
    exposed: Exposed = field(default_factory=Exposed)
    told: Told = field(default_factory=Told)
    saved: OutcomeEvidence | None = None
    """What was last written."""
    _waiting: list[tuple[pa.RecordBatch, str | None]] = field(default_factory=list)
    _counts: list[OutcomeCounts] = field(default_factory=list)
    _unmatched: int = 0
    _forgotten: int = 0
    _again_at: float = 0.0
    _complete: bool = False
    """Whether all that there was to read had been when it was last counted."""

    @classmethod
    def begun(cls, stored: StoredRollout, logs: Iterable[LogFolder]) -> Joined:
        """Return one that has read nothing."""
        since, endpoint = stored.state.started_us - CLOCKS_US, stored.rollout.spec.endpoint
        return cls([(LogTail(one.path, endpoint, since), one.region) for one in logs])

    def look(self, stored: StoredRollout, more: Sequence[OutcomeRecord], now: int) -> OutcomeEvidence:
        """Take in `more` outcomes and what the logs have more, and return what all of it comes to."""
        self.told = self.told.added(more, stored.state.labels)
        self.number = more[-1].id if more else self.number
        problem = self._read(stored.state.started_us)
        if problem is None and (len(more) == OUTCOMES_AT_A_LOOK or any(tail.more for tail, _ in self.tails)):
            problem = "the prediction log is still being read"
        self._admit(stored, now - HORIZON_US)
        if time.monotonic() >= self._again_at or (problem is None and not self._complete):
            self._count(stored, now)
            self._complete = problem is None
            if self._complete:
                self._forget(now)
        return OutcomeEvidence(as_of_us=now, problem=problem, unmatched=self._unmatched, guardrails=self._counts)

    def is_news(self, evidence: OutcomeEvidence) -> bool:
        """Whether evidence should be written: it is other than the last, or that is some time ago."""
        if self.saved is None or evidence.as_of_us - self.saved.as_of_us >= SAVE_US:
            return True
        return evidence.model_copy(update={"as_of_us": self.saved.as_of_us}) != self.saved

    def _read(self, since_us: int) -> str | None:
        """Read on in every log; return what is wrong with one, if anything is."""
        problem = None if self.tails else "this control plane knows no prediction log"
        for tail, region in self.tails:
            try:
                for batch in tail.read(ROWS_AT_A_LOOK):
                    recent = batch.filter(pc.greater_equal(_microseconds(batch), since_us))
                    self._waiting.append((recent, region))
            except (LogError, BadInputError) as error:
                problem = f"the prediction log cannot be read: {error.message}"
        return problem

    def _admit(self, stored: StoredRollout, horizon_us: int) -> None:
        """Take in the rows from before the horizon; the others wait."""
        ready: dict[str | None, list[pa.RecordBatch]] = {}
        waiting = []
        for batch, region in self._waiting:
            old = pc.less(_microseconds(batch), horizon_us)
            ready.setdefault(region, []).append(batch.filter(old))
            young = batch.filter(pc.invert(old))
            if young.num_rows:
                waiting.append((young, region))
        self._waiting = waiting
        for region, batches in ready.items():
            self.exposed = self.exposed.admitted(stored.state, rows_of(batches, region))

    def _count(self, stored: StoredRollout, now: int) -> None:
        began = time.monotonic()
        unit = self.told.units(self.exposed)
        joined = self.exposed, self.told, unit
        self._counts = [
            counts_of(guardrail, stored.state, joined, now)
            for guardrail in stored.rollout.spec.guardrails
            if guardrail.kind is GuardrailKind.OUTCOME
        ]
        self._unmatched = self._forgotten + int((unit < 0).sum())
        ended = time.monotonic()
        self._again_at = ended + RESTS * (ended - began)

    def _forget(self, now: int) -> None:
        """Set outcomes aside that have had time enough to find their prediction."""
        gone = (self.told.units(self.exposed) < 0) & (self.told.received_us < now - FORGET_US)
        if gone.any():
            self._forgotten += int(gone.sum())
            self.told = self.told.without(gone)


def rows_of(batches: Sequence[pa.RecordBatch], region: str | None) -> Rows:
    """Return batches of the log as rows."""
    ids: list[bytes] = []
    for batch in batches:
        column = batch.column("id")
        ids += (column.storage if isinstance(column, pa.ExtensionArray) else column).to_pylist()
    versions, units, decisions = (_texts(batches, name) for name in ("version", "unit", "decision"))
    times = [_microseconds(batch).to_numpy(zero_copy_only=False) for batch in batches]
    time_us = np.concatenate(times) if times else np.zeros(0, dtype=np.int64)
    return Rows(ids_of(ids), time_us, versions, units, decisions, region)


def _texts(batches: Sequence[pa.RecordBatch], name: str) -> list[str | None]:
    return [value for batch in batches for value in batch.column(name).to_pylist()]


def _microseconds(batch: pa.RecordBatch) -> pa.Array:
    return batch.column("time").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
