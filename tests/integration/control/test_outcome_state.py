"""Outcomes in the database: once each, corrections kept, read on in the order of arrival; SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from fairlead.schema.outcome_evidence import OutcomeCounts, OutcomeEvents, OutcomeEvidence
from fairlead.schema.outcomes import OutcomeReceipt
from fairlead.schema.registry import EndpointSettings
from fairlead.schema.signature import Scalar
from fairlead.store.state import Database, endpoints, outcomes, rollouts
from fairlead.store.state.outcomes import Told
from tests.serverkit.rollouts import begun, rollout


@pytest.fixture
def filled(database: Database) -> Database:
    """With the endpoints `fraud` and `risk`."""
    with database.change() as transaction:
        for name in ("fraud", "risk"):
            endpoints.put(transaction, name, EndpointSettings(), "me")
    return database


def told(number: int, label: Scalar, source: str = "default") -> Told:
    return Told(str(UUID(int=number)), source, label, 5)


def add(database: Database, *given: Told, endpoint: str = "fraud") -> tuple[int, int, int]:
    with database.write() as transaction:
        receipt: OutcomeReceipt = outcomes.add(transaction, endpoint, given, "me")
    return receipt.new, receipt.corrected, receipt.known


def kept(database: Database, after: int = 0, limit: int = 100) -> list[tuple[int, str, int, Scalar]]:
    """(last digit of the prediction, source, revision, label)."""
    with database.read() as transaction:
        found = outcomes.after(transaction, "fraud", after, limit)
    return [(int(one.prediction_id[-1], 16), one.source, one.revision, one.label) for one in found]


def test_what_is_told_twice_is_kept_once(filled: Database) -> None:
    assert add(filled, told(1, "bad"), told(2, "good"), told(1, "bad")) == (2, 0, 1)
    assert add(filled, told(2, "good"), told(3, "good")) == (1, 0, 1)
    assert kept(filled) == [(1, "default", 1, "bad"), (2, "default", 1, "good"), (3, "default", 1, "good")]


def test_a_correction_is_a_further_revision_and_so_is_its_correction(filled: Database) -> None:
    add(filled, told(1, 0))
    assert add(filled, told(1, 1)) == (0, 1, 0)
    assert add(filled, told(1, 1), told(1, 0), told(1, 0)) == (0, 1, 2)
    assert [one[2:] for one in kept(filled)] == [(1, 0), (2, 1), (3, 0)]


def test_each_source_and_each_endpoint_speaks_for_itself(filled: Database) -> None:
    assert add(filled, told(1, "yes", "a"), told(1, "no", "b")) == (2, 0, 0)
    assert add(filled, told(1, "yes", "a"), endpoint="risk") == (1, 0, 0)
    with filled.read() as transaction:
        found = outcomes.of_prediction(transaction, "fraud", str(UUID(int=1)))
    assert [(one.source, one.label) for one in found] == [("a", "yes"), ("b", "no")]


def test_labels_keep_their_type(filled: Database) -> None:
    given: list[Scalar] = [True, 1, "1", 2.5, ""]
    add(filled, *(told(number, label) for number, label in enumerate(given)))
    assert [(type(one[3]), one[3]) for one in kept(filled)] == [(type(label), label) for label in given]
    # True is no 1: a correction.
    assert add(filled, told(0, 1)) == (0, 1, 0)


def test_reading_goes_on_after_the_last_number(filled: Database) -> None:
    add(filled, *(told(number, 0) for number in range(7)))
    with filled.read() as transaction:
        first = outcomes.after(transaction, "fraud", 0, 5)
        rest = outcomes.after(transaction, "fraud", first[-1].id, 5)
        assert outcomes.first_since(transaction, "fraud", first[0].received_us) < first[0].id
        assert outcomes.first_since(transaction, "fraud", first[0].received_us + 10**9) == rest[-1].id
    assert [len(first), len(rest)] == [5, 2]


def test_many_at_once_miss_and_double_nothing(filled: Database) -> None:
    """And whoever reads on by number sees them all: they are committed in the order of their numbers."""

    def tell(worker: int) -> None:
        for begin in range(0, 40, 10):
            add(filled, *(told(number, worker % 2) for number in range(begin, begin + 10)))

    seen: list[int] = []
    with ThreadPoolExecutor(9) as pool:
        work = [pool.submit(tell, worker) for worker in range(8)]
        while not all(one.done() for one in work):
            with filled.read() as transaction:
                seen += [one.id for one in outcomes.after(transaction, "fraud", seen[-1] if seen else 0, 1_000)]
        [one.result() for one in work]
    with filled.read() as transaction:
        everything = outcomes.after(transaction, "fraud", 0, 10_000)
        seen += [one.id for one in everything if one.id > seen[-1]]
    assert [one.id for one in everything] == seen
    revisions: dict[str, list[tuple[int, Scalar]]] = {}
    for one in everything:
        revisions.setdefault(one.prediction_id, []).append((one.revision, one.label))
    assert len(revisions) == 40
    for found in revisions.values():
        assert [revision for revision, _ in found] == list(range(1, len(found) + 1))
        assert all(first[1] != second[1] for first, second in itertools.pairwise(found))


def test_thousands_of_predictions_in_one_batch(filled: Database) -> None:
    given = [told(number, 0) for number in range(2_500)]
    assert add(filled, *given) == (2_500, 0, 0)
    assert add(filled, *given) == (0, 0, 2_500)


def test_what_outcomes_come_to_is_kept_for_a_run(filled: Database) -> None:
    document = rollout()
    evidence = OutcomeEvidence(
        as_of_us=7,
        guardrails=[OutcomeCounts(name="fp", events=[OutcomeEvents(step=-3, events=4, challenger=1)])],
    )
    with filled.change() as transaction:
        rollouts.begin(transaction, document, begun(document), "me")
        outcomes.keep_evidence(transaction, document.name, 1, OutcomeEvidence(problem="nothing yet"))
        outcomes.keep_evidence(transaction, document.name, 2, evidence)
    with filled.read() as transaction:
        assert outcomes.evidence(transaction, [document.name]) == {(document.name, 2): evidence}
