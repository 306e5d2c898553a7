"""Outcomes on their way in: each is checked against what the endpoint's models can decide."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from fairlead.errors import ControlError
from fairlead.registry import endpoint_record, resolve
from fairlead.schema.outcomes import OutcomeBatch, OutcomeReceipt, OutcomeReport, label_place
from fairlead.schema.registry import RegistryRole
from fairlead.schema.signature import Decision, Scalar, Task
from fairlead.store.state import Transaction, outcomes
from fairlead.store.state.outcomes import Told

FUTURE_US = 3_600_000_000
"""How far ahead the clock may be of whoever tells when an outcome became known."""
MOST_DETAILS = 100


def take(transaction: Transaction, endpoint: str, batch: OutcomeBatch, actor: str) -> OutcomeReceipt:
    """Keep the batch whole, or raise `ControlError` and keep nothing of it."""
    decision = _decision(transaction, endpoint)
    now = transaction.now_us
    wrong: list[dict[str, Any]] = []
    told = []
    for number, one in enumerate(batch.outcomes):
        label = _label(one.label, decision)
        wrong += [
            {"field": f"outcomes.{number}.{field}", **why} for field, why in _complaints(one, label, decision, now)
        ]
        if label is not None:
            reported = now if one.reported_us is None else one.reported_us
            told.append(Told(one.prediction_id, one.source or batch.source, label, reported))
    if wrong:
        first = wrong[0]
        raise ControlError(
            f"{first['field']}: expected {first['expected']}, got {first['got']!r}",
            code="outcome_refused",
            details=wrong[:MOST_DETAILS],
        )
    return outcomes.add(transaction, endpoint, told, actor)


def _complaints(
    one: OutcomeReport, label: Scalar | None, decision: Decision | None, now: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    if label is None:
        assert decision is not None
        wanted = f"one of {decision.labels}" if decision.labels else "a number"
        yield "label", {"expected": wanted, "got": one.label}
    reported = one.reported_us
    if reported is not None and not 0 <= reported <= now + FUTURE_US:
        assert one.reported_at is not None
        yield (
            "reported_at",
            {"expected": "a time since 1970 that is not ahead of now", "got": one.reported_at.isoformat()},
        )


def _decision(transaction: Transaction, endpoint: str) -> Decision | None:
    """Return how the champion decides; whoever may take its place decides the same labels. Raises `ControlError`."""
    holders = endpoint_record(transaction, endpoint).roles
    champion = next((one for one in holders if one.role is RegistryRole.CHAMPION), None)
    if champion is None:
        raise ControlError(f"{endpoint} has no champion: it has predicted nothing", code="role_vacant")
    return resolve(transaction, champion.sha256)[1].signature.decision


def _label(given: Scalar, decision: Decision | None) -> Scalar | None:
    """Return the label as the model has it; None where it has none such."""
    if decision is None:
        return given
    if decision.task is Task.REGRESSION:
        return _number(given)
    place = label_place(given, decision.labels)
    return None if place is None else decision.labels[place]


def _number(given: Scalar) -> float | int | None:
    if isinstance(given, str):
        try:
            given = float(given)
        except ValueError:
            return None
    return given if not isinstance(given, bool) and isfinite(given) else None
