"""The record of decisions. It only grows; each is written in the transaction of the change that it causes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, select

from fairlead.schema.registry import DecisionRecord, Verdict
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import DecisionRow


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, by whom, on which evidence."""

    kind: str
    subject: str
    verdict: Verdict
    actor: str
    endpoint: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


def record(transaction: Transaction, decision: Decision) -> int:
    """Write the decision down and return its number."""
    row = DecisionRow(
        kind=decision.kind,
        endpoint=decision.endpoint,
        subject=decision.subject,
        verdict=decision.verdict.value,
        evidence=dict(decision.evidence),
        actor=decision.actor,
        at_us=transaction.now_us,
    )
    transaction.session.add(row)
    transaction.session.flush()
    return row.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which decisions: all that is given must hold."""

    endpoint: str | None = None
    kind: str | None = None
    rollout: str | None = None
    since_us: int | None = None
    """At this time or later."""
    until_us: int | None = None
    """Before this time."""
    before: int | None = None
    """Older than the decision of this number."""


def listed(transaction: Transaction, wanted: Wanted | None = None, limit: int = 100) -> list[DecisionRecord]:
    """Return the last decisions, newest first. What is written meanwhile does not move what comes before a number."""
    query = _query(wanted or Wanted())
    return [
        DecisionRecord(
            id=row.id,
            kind=row.kind,
            endpoint=row.endpoint,
            subject=row.subject,
            verdict=Verdict(row.verdict),
            evidence=row.evidence,
            actor=row.actor,
            at_us=row.at_us,
        )
        for row in transaction.session.scalars(query.order_by(DecisionRow.id.desc()).limit(limit))
    ]


def _query(wanted: Wanted) -> Select[DecisionRow]:
    query = select(DecisionRow)
    if wanted.endpoint is not None:
        query = query.where(DecisionRow.endpoint == wanted.endpoint)
    if wanted.kind is not None:
        query = query.where(DecisionRow.kind == wanted.kind)
    if wanted.rollout is not None:
        query = query.where(DecisionRow.subject == wanted.rollout, DecisionRow.kind.startswith("rollout."))
    if wanted.since_us is not None:
        query = query.where(DecisionRow.at_us >= wanted.since_us)
    if wanted.until_us is not None:
        query = query.where(DecisionRow.at_us < wanted.until_us)
    if wanted.before is not None:
        query = query.where(DecisionRow.id < wanted.before)
    return query
