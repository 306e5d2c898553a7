"""Joining the log with outcomes, look by look: how it is cut up does not matter, and nothing is lost on the way."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from fairlead.control.rollouts import joining
from fairlead.control.rollouts.joining import Joined
from fairlead.control.rollouts.look import JOINED_US, joined_lately
from fairlead.control.settings import LogFolder
from fairlead.rollout.assignment import is_challengers
from fairlead.schema.outcome_evidence import OutcomeEvidence
from fairlead.schema.outcomes import OutcomeRecord
from fairlead.store.state.rollouts import StoredRollout
from tests.serverkit.outcomes import HOUR, outcome_rollout, ramped
from tests.serverkit.rollouts import START
from tests.unit.store.conftest import LogWriter

LATER = START + 100 * HOUR
UNITS = 400


@pytest.fixture
def log(tmp_path: Path) -> LogWriter:
    directory = tmp_path / "log"
    directory.mkdir()
    return LogWriter(directory)


def stored() -> StoredRollout:
    document = outcome_rollout()
    return StoredRollout(document, ramped(document, (0.5,)), 1, START, "me", START)


def begun(log: LogWriter | None) -> Joined:
    joined = Joined.begun(stored(), [] if log is None else [LogFolder(log.directory)])
    joined.number = 0
    return joined


def write(log: LogWriter, numbers: range, at_us: int = START + HOUR, **changes: Any) -> None:
    batches = []
    for number in numbers:
        unit = f"card-{number}"
        row: dict[str, Any] = {
            "id": UUID(int=number).bytes,
            "time": datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us + number),
            "unit": unit,
            "version": "2" if is_challengers(unit, "salt", 0.5) else "1",
            "decision": "true",
        }
        batches.append(log.batch(1, **(row | changes)))
    # Written now, which is before the rollout's beginning.
    os.utime(log.segment(*batches), (LATER / 1e6, LATER / 1e6))


def told(numbers: range, label: Any = False, received_us: int = START + 2 * HOUR) -> list[OutcomeRecord]:
    return [
        OutcomeRecord(
            id=number + 1,
            endpoint="fraud",
            prediction_id=str(UUID(int=number)),
            source="default",
            revision=1,
            label=label,
            reported_us=received_us,
            received_us=received_us,
            received_by="me",
        )
        for number in numbers
    ]


def labelled(evidence: OutcomeEvidence) -> int:
    [one] = evidence.guardrails
    return one.champion.labelled + one.challenger.labelled


def test_one_look_and_many_come_to_the_same(log: LogWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "RESTS", 0)
    piecewise = begun(log)
    for begin in range(0, UNITS, 50):
        numbers = range(begin, begin + 50)
        # Of every other part the outcomes come first.
        if begin % 100:
            piecewise.look(stored(), told(numbers, received_us=LATER - HOUR), LATER)
            write(log, numbers)
            piecewise.look(stored(), [], LATER)
        else:
            write(log, numbers)
            piecewise.look(stored(), [], LATER)
            piecewise.look(stored(), told(numbers, received_us=LATER - HOUR), LATER)
    found = piecewise.look(stored(), [], LATER)
    assert begun(log).look(stored(), told(range(UNITS), received_us=LATER - HOUR), LATER) == found
    assert (labelled(found), found.problem, found.unmatched) == (UNITS, None, 0)


def test_until_the_log_is_read_to_its_end_it_says_so(log: LogWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "ROWS_AT_A_LOOK", 250)
    write(log, range(UNITS))
    joined = begun(log)
    first = joined.look(stored(), told(range(UNITS)), LATER)
    assert (first.problem, labelled(first)) == ("the prediction log is still being read", 250)
    second = joined.look(stored(), [], LATER)
    assert (second.problem, labelled(second)) == (None, UNITS)


def test_rows_of_this_moment_wait_until_it_is_sure_which_shares_they_had(
    log: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "RESTS", 0)
    write(log, range(50))
    joined = begun(log)
    joined.look(stored(), told(range(50)), START + HOUR)
    assert len(joined.exposed) == 0
    joined.look(stored(), [], LATER)
    assert len(joined.exposed) == 50


def test_a_log_that_is_away_is_a_problem_and_what_was_known_stays(log: LogWriter) -> None:
    write(log, range(50))
    joined = begun(log)
    assert joined.look(stored(), told(range(50)), LATER).problem is None
    away = log.directory.rename(log.directory.with_name("away"))
    found = joined.look(stored(), [], LATER)
    assert found.problem is not None
    assert "cannot be read: no prediction log at" in found.problem
    assert labelled(found) == 50
    away.rename(log.directory)
    assert joined.look(stored(), [], LATER).problem is None


def test_without_any_log_there_is_a_problem() -> None:
    assert begun(None).look(stored(), [], LATER).problem == "this control plane knows no prediction log"


def test_outcomes_of_predictions_that_are_not_compared_are_set_aside_and_counted(log: LogWriter) -> None:
    write(log, range(50))
    write(log, range(50, 60), version="7")
    joined = begun(log)
    found = joined.look(stored(), told(range(60)), LATER)
    assert found.unmatched == 10
    assert len(joined.told) == 50
    assert joined.look(stored(), told(range(60, 70), received_us=LATER), LATER).as_of_us == LATER
    assert len(joined.told) == 60


def test_evidence_is_written_when_it_is_news_or_some_time_old(log: LogWriter) -> None:
    joined = begun(log)
    first = joined.look(stored(), [], LATER)
    assert joined.is_news(first)
    joined.saved = first
    assert not joined.is_news(first.model_copy(update={"as_of_us": LATER + 1}))
    assert joined.is_news(first.model_copy(update={"as_of_us": LATER + joining.SAVE_US}))
    assert joined.is_news(first.model_copy(update={"problem": "x"}))


def test_a_join_that_is_missing_or_old_is_a_problem() -> None:
    fresh = OutcomeEvidence(as_of_us=LATER)
    assert joined_lately(None, LATER).problem == "outcomes were not joined with predictions yet"
    assert joined_lately(fresh, LATER + JOINED_US) == fresh
    old = joined_lately(fresh, LATER + JOINED_US + 1)
    assert old.problem == "outcomes are no longer joined with predictions"
    broken = fresh.model_copy(update={"problem": "x"})
    assert joined_lately(broken, LATER + JOINED_US + 1) == broken
