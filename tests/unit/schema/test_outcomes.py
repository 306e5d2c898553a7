"""Outcomes as they are sent, and labels as the log writes them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fairlead.schema.outcome_metrics import LabelTiming
from fairlead.schema.outcomes import OutcomeReport, label_place, label_text

ID = "0198c2d4-11AA-7bbb-8ccc-0123456789ab"


@pytest.mark.parametrize(
    ("label", "text"),
    [(True, "true"), (False, "false"), (1, "1"), (1.0, "1"), (2.5, "2.5"), ("fraud", "fraud"), ("", "")],
)
def test_the_log_has_labels_as_text(label: Any, text: str) -> None:
    assert label_text(label) == text


@pytest.mark.parametrize(
    ("label", "labels", "place"),
    [
        (True, [False, True], 1),
        (1, [False, True], None),
        ("true", [False, True], 1),
        (1, [0, 1], 1),
        (1.0, [0, 1], 1),
        ("1", [0, 1], 1),
        (True, [0, 1], None),
        ("1", [1, "1"], 1),
        ("maybe", ["no", "yes"], None),
        (1, ["0", "1"], None),
    ],
)
def test_a_label_is_its_value_or_its_text(label: Any, labels: list[Any], place: int | None) -> None:
    assert label_place(label, labels) == place


@pytest.mark.parametrize(
    ("when", "microseconds"),
    [
        (None, None),
        ("1970-01-01T00:00:01.000002Z", 1_000_002),
        ("1970-01-01T00:00:01.000002", 1_000_002),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59Z", -1_000_000),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(when: str | None, microseconds: int | None) -> None:
    report = OutcomeReport.model_validate({"prediction_id": ID, "label": 1, "reported_at": when})
    assert report.reported_us == microseconds
    assert report.prediction_id == ID.lower()


@pytest.mark.parametrize("wrong", ["", "0198c2d4", f"{{{ID}}}", ID.replace("-", ""), f"{ID} ", ID.replace("0", "g")])
def test_a_prediction_id_is_a_uuid(wrong: str) -> None:
    with pytest.raises(ValidationError, match="prediction_id"):
        OutcomeReport.model_validate({"prediction_id": wrong, "label": 1})


@pytest.mark.parametrize(("delay", "seconds"), [("0s", 1), ("10s", 1), ("1h", 180), ("10d", 43_200), ("90d", 86_400)])
def test_cohorts_are_as_wide_as_the_delay_allows(delay: str, seconds: float) -> None:
    assert LabelTiming.model_validate({"delay": delay}).cohort_seconds == seconds
