"""Outcomes of predictions, every revision, and what rollouts made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

from sqlalchemy import func, insert, select, text

from fairlead.schema.outcome_evidence import OutcomeEvidence
from fairlead.schema.outcomes import OutcomeReceipt, OutcomeRecord
from fairlead.schema.signature import Scalar
from fairlead.store.state.database import Transaction
from fairlead.store.state.models import OutcomeEvidenceRow, OutcomeRow

KEYS_AT_A_TIME = 1_000
_LOCK = 0x6F75_7463
_SIGNED = 1 << 31


@dataclass(frozen=True, slots=True)
class Told:
    """One outcome as it arrives, checked."""

    prediction_id: str
    source: str
    label: Scalar
    reported_us: int


def add(transaction: Transaction, endpoint: str, told: Sequence[Told], actor: str) -> OutcomeReceipt:
    """Keep what is new, in its order; a source that says another label of a prediction makes a further revision."""
    _in_turn(transaction, endpoint)
    newest = _newest(transaction, endpoint, sorted({one.prediction_id for one in told}))
    rows = []
    corrected = 0
    for one in told:
        key = (one.prediction_id, one.source)
        revision, label = newest.get(key, (0, None))
        if revision and _same(label, one.label):
            continue
        corrected += revision > 0
        newest[key] = (revision + 1, one.label)
        rows.append(
            {
                "endpoint": endpoint,
                "prediction_id": one.prediction_id,
                "source": one.source,
                "revision": revision + 1,
                "label": one.label,
                "reported_us": one.reported_us,
                "received_us": transaction.now_us,
                "received_by": actor,
            }
        )
    if rows:
        transaction.session.execute(insert(OutcomeRow), rows)
    return OutcomeReceipt(new=len(rows) - corrected, corrected=corrected, known=len(told) - len(rows))


def first_since(transaction: Transaction, endpoint: str, since_us: int) -> int:
    """Return a number after which all outcomes lie that arrived at `since_us` or later."""
    query = select(func.max(OutcomeRow.id)).where(OutcomeRow.endpoint == endpoint, OutcomeRow.received_us < since_us)
    return transaction.session.scalar(query) or 0


def after(transaction: Transaction, endpoint: str, number: int, limit: int) -> list[OutcomeRecord]:
    """Return the outcomes that arrived after the one of that number, in the order of arrival."""
    query = (
        select(OutcomeRow)
        .where(OutcomeRow.endpoint == endpoint, OutcomeRow.id > number)
        .order_by(OutcomeRow.id)
        .limit(limit)
    )
    return [_record(row) for row in transaction.session.scalars(query)]


def of_prediction(transaction: Transaction, endpoint: str, prediction_id: str) -> list[OutcomeRecord]:
    """Return every revision of what was said of a prediction, in the order of arrival."""
    query = select(OutcomeRow).where(OutcomeRow.endpoint == endpoint, OutcomeRow.prediction_id == prediction_id)
    return [_record(row) for row in transaction.session.scalars(query.order_by(OutcomeRow.id))]


def keep_evidence(transaction: Transaction, rollout: str, run: int, evidence: OutcomeEvidence) -> None:
    """Keep what a rollout's outcomes come to, in place of what was known before."""
    row = transaction.session.get(OutcomeEvidenceRow, rollout)
    if row is None:
        row = OutcomeEvidenceRow(rollout=rollout)
        transaction.session.add(row)
    row.run, row.document = run, evidence.model_dump(mode="json")
    transaction.session.flush()


def evidence(transaction: Transaction, names: Sequence[str]) -> dict[tuple[str, int], OutcomeEvidence]:
    """Return what is known of these rollouts, by name and run."""
    rows = transaction.session.scalars(select(OutcomeEvidenceRow).where(OutcomeEvidenceRow.rollout.in_(names)))
    return {(row.rollout, row.run): OutcomeEvidence.model_validate(row.document) for row in rows}


def _in_turn(transaction: Transaction, endpoint: str) -> None:
    """Wait for others who add to the endpoint: numbers are then in the order of commits, and no reader misses one."""
    if transaction.dialect == "postgresql":
        key = (crc32(endpoint.encode()) + _SIGNED) % (2 * _SIGNED) - _SIGNED
        transaction.session.execute(text("SELECT pg_advisory_xact_lock(:lock, :key)"), {"lock": _LOCK, "key": key})


def _newest(
    transaction: Transaction, endpoint: str, predictions: Sequence[str]
) -> dict[tuple[str, str], tuple[int, Scalar]]:
    found: dict[tuple[str, str], tuple[int, Scalar]] = {}
    for row in _rows_of(transaction, endpoint, predictions):
        found[row.prediction_id, row.source] = (row.revision, row.label)
    return found


def _rows_of(transaction: Transaction, endpoint: str, predictions: Sequence[str]) -> Iterator[OutcomeRow]:
    for begin in range(0, len(predictions), KEYS_AT_A_TIME):
        some = predictions[begin : begin + KEYS_AT_A_TIME]
        query = select(OutcomeRow).where(OutcomeRow.endpoint == endpoint, OutcomeRow.prediction_id.in_(some))
        yield from transaction.session.scalars(query.order_by(OutcomeRow.revision))


def _same(first: Scalar | None, second: Scalar) -> bool:
    return isinstance(first, bool) == isinstance(second, bool) and first == second


def _record(row: OutcomeRow) -> OutcomeRecord:
    return OutcomeRecord(
        id=row.id,
        endpoint=row.endpoint,
        prediction_id=row.prediction_id,
        source=row.source,
        revision=row.revision,
        label=row.label,
        reported_us=row.reported_us,
        received_us=row.received_us,
        received_by=row.received_by,
    )
