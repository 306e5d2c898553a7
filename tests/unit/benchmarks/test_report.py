"""Targets, rows and what is written: a figure that was not measured never counts as met."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.findings import ratios, spread_row
from benchmarks.harness.report import Report, Row, Target


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target("at least", 0.75), 0.75, True),
        (Target("at least", 0.75), 0.7499, False),
        (Target("at most", 150), 150.0, True),
        (Target("at most", 150), 150.1, False),
    ],
)
def test_a_bound_itself_is_met(target: Target, value: float, met: bool) -> None:
    assert target.met(value) is met
    assert Row("x", value, "us", target).ok is met


def test_targets_are_told_as_people_write_them() -> None:
    assert str(Target("at least", 15000)) == ">= 15000"
    assert str(Target("at most", 0.9)) == "<= 0.9"


def test_what_was_not_measured_is_missed_and_without_a_target_is_neither() -> None:
    assert Row("x", None, "us", Target("at most", 1)).ok is False
    assert Row("x", None, "us").ok is None
    assert Row("x", 3.0, "us").ok is None


def test_the_spread_is_of_several_rounds_only() -> None:
    assert spread_row("x", [3.0, 1.0, 2.0], "us") == Row("x", 2.0, "us", spread=(1.0, 3.0))
    assert spread_row("x", [4.0], "us") == Row("x", 4.0, "us")
    assert spread_row("x", [], "us", Target("at most", 1)).ok is False


def test_ratios_are_taken_within_a_round() -> None:
    assert ratios([10.0, 30.0, 50.0], [5.0, 10.0]) == [2.0, 3.0]
    assert ratios([10.0, 30.0], [0.0, 10.0]) == [3.0]


def test_the_table_names_what_was_missed() -> None:
    report = Report("a title")
    report.add(Row("fast enough", 20.0, "requests/s", Target("at least", 10)))
    report.add(Row("too slow", 30.0, "ms", Target("at most", 10)))
    report.add(Row("only told", 12345.6, "requests/s"))
    assert report.missed() == ["too slow"]
    output = io.StringIO()
    report.show(Console(file=output, width=120))
    assert "2 targets, missed: too slow" in output.getvalue()
    assert "12,346" in output.getvalue()


def test_the_file_has_machine_versions_date_and_rows(tmp_path: Path) -> None:
    report = Report("a title")
    report.add(Row("a", 1.5, "us", Target("at most", 2), spread=(1.0, 2.0)))
    report.add(Row("b", None, ""))
    path = tmp_path / "results" / "x.json"
    report.write(path, ["numpy", "no-such-package"], {"tool": "7"})
    document = json.loads(path.read_text())
    assert document.keys() == {"machine", "versions", "date", "rows"}
    assert document["machine"]["cores"] >= 1
    assert document["versions"]["tool"] == "7"
    assert document["versions"]["no-such-package"] == "from the source tree"
    assert document["rows"] == [
        {"name": "a", "value": 1.5, "unit": "us", "target": "<= 2", "ok": True, "spread": [1.0, 2.0]},
        {"name": "b", "value": None, "unit": "", "target": None, "ok": None},
    ]
