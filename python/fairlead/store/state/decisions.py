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


def listed(
    transaction: Transaction, endpoint: str | None = None, kind: str | None = None, limit: int = 100
) -> list[DecisionRecord]:
    """Return the last decisions, newest first."""
    query = select(DecisionRow)
    if endpoint is not None:
        query = query.where(DecisionRow.endpoint == endpoint)
    if kind is not None:
        query = query.where(DecisionRow.kind == kind)
    return _newest(transaction, query, limit)


def of_rollout(transaction: Transaction, name: str, limit: int = 100) -> list[DecisionRecord]:
    """Return the last decisions on a rollout, newest first."""
    query = select(DecisionRow).where(DecisionRow.subject == name, DecisionRow.kind.startswith("rollout."))
    return _newest(transaction, query, limit)


def _newest(transaction: Transaction, query: Select[DecisionRow], limit: int) -> list[DecisionRecord]:
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
