"""Two tables: what is found, and that bad input is a finding or a clear error, never a crash."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fairlead.errors import BadInputError
from fairlead.monitor.comparison import compare
from fairlead.monitor.page import page_of
from fairlead.monitor.question import Question
from fairlead.schema.comparison import Comparison, Convention, Severity, Verdict
from tests.unit.monitor.tables import column, frame, kinds

RNG = np.random.default_rng(1)
PLAIN = RNG.normal(size=2_000)


def compared(reference: dict[str, Any], current: dict[str, Any], **question: Any) -> Comparison:
    """Under each convention nothing crashes, whatever the tables, and the page can be made; gives our own."""
    for convention in Convention:
        found = compare(frame(reference, "ref"), frame(current, "cur"), Question(convention, **question))
        assert Comparison.model_validate_json(found.model_dump_json()) == found
        assert page_of(found)
    return compare(frame(reference, "ref"), frame(current, "cur"), Question(**question))


def test_equal_tables_are_stable_in_all_they_have() -> None:
    table = {"x": PLAIN, "label": ["a", "b"] * 1_000, "flag": [True, False] * 1_000, "whole": [*range(10)] * 200}
    found = compared(table, table)
    assert (found.verdict, found.severity, found.drifted_share) == (Verdict.STABLE, Severity.NONE, 0.0)
    assert [one.verdict for one in found.columns] == [Verdict.STABLE] * 4
    assert all(one.effect is not None and one.effect.size == 0 for one in found.columns)


def test_the_worst_column_comes_first() -> None:
    found = compared(
        {"calm": PLAIN, "little": PLAIN, "much": PLAIN},
        {"calm": PLAIN, "little": PLAIN + 0.28, "much": PLAIN + 2},
    )
    assert [one.name for one in found.columns] == ["much", "little", "calm"]
    assert [one.severity for one in found.columns] == [Severity.LARGE, Severity.SMALL, Severity.NONE]
    assert found.drifted_share == pytest.approx(2 / 3)


def test_a_column_that_is_gone_and_one_that_is_new_are_findings() -> None:
    found = compared({"x": PLAIN, "old": PLAIN}, {"x": PLAIN, "new": PLAIN})
    assert kinds(column(found, "old")) == ["missing_column"]
    assert kinds(column(found, "new")) == ["extra_column"]
    assert column(found, "old").severity is Severity.LARGE
    assert column(found, "new").severity is Severity.NONE


@pytest.mark.parametrize("other", [["7"] * 2_000, [True, False] * 1_000, [[1.0]] * 2_000, [{"a": 1}] * 2_000])
def test_another_type_is_a_finding(other: list[Any]) -> None:
    one = column(compared({"x": PLAIN}, {"x": other}))
    assert (kinds(one), one.verdict, one.severity) == (["type_changed"], Verdict.NOT_MEASURED, Severity.LARGE)


def test_whole_numbers_and_others_are_both_numbers() -> None:
    one = column(compared({"x": np.arange(2_000)}, {"x": np.arange(2_000.0)}))
    assert (one.verdict, kinds(one)) == (Verdict.STABLE, [])


@pytest.mark.parametrize("values", [PLAIN, ["a", "b"] * 1_000])
@pytest.mark.parametrize("nothing", [[None] * 500, np.full(500, np.nan)])
def test_a_column_that_lost_all_values_is_a_finding_and_one_that_got_them_too(values: Any, nothing: Any) -> None:
    if not isinstance(values, np.ndarray) and isinstance(nothing, np.ndarray):
        nothing = pa.array([None] * 500, pa.string())
    lost, found = column(compared({"x": values}, {"x": nothing})), column(compared({"x": nothing}, {"x": values}))
    assert (kinds(lost), lost.verdict, lost.severity) == (["all_missing"], Verdict.NOT_MEASURED, Severity.LARGE)
    assert (kinds(found), found.severity) == (["missing_values"], Severity.LARGE)
    both = column(compared({"x": nothing}, {"x": nothing}))
    assert (both.verdict, both.severity) == (Verdict.NOT_MEASURED, Severity.NONE)


def test_a_constant_column_is_compared_and_one_that_became_constant_is_a_finding() -> None:
    assert column(compared({"x": np.ones(500)}, {"x": np.ones(300)})).verdict is Verdict.STABLE
    other = column(compared({"x": np.ones(500)}, {"x": np.full(300, 2.0)}))
    assert (other.verdict, other.severity) == (Verdict.DRIFTED, Severity.LARGE)
    stuck = column(compared({"x": PLAIN}, {"x": np.zeros(300)}))
    assert "constant" in kinds(stuck)
    assert stuck.verdict is Verdict.DRIFTED
    assert "constant" in kinds(column(compared({"x": ["a", "b"] * 500}, {"x": ["a"] * 500})))


def test_missing_infinite_and_outlying_values_are_findings_by_their_share() -> None:
    holes = np.where(RNG.random(2_000) < 0.2, np.nan, PLAIN)
    assert kinds(column(compared({"x": PLAIN}, {"x": holes}))) == ["missing_values"]
    endless = np.where(RNG.random(2_000) < 0.2, -np.inf, PLAIN)
    assert kinds(column(compared({"x": PLAIN}, {"x": endless}))) == ["infinite_values"]
    wide = np.where(RNG.random(2_000) < 0.2, 99.0, PLAIN)
    [finding] = column(compared({"x": PLAIN}, {"x": wide})).findings
    assert (finding.kind.value, finding.examples) == ("out_of_range", ["99"])
    assert finding.current_share == pytest.approx(0.2, abs=0.03)


def test_fresh_rows_are_neither_out_of_range_nor_unseen() -> None:
    known = {"x": RNG.normal(size=60), "label": RNG.zipf(1.5, 60).astype(str)}
    seen = {"x": RNG.normal(size=20_000), "label": RNG.zipf(1.5, 20_000).astype(str)}
    found = compared(known, seen)
    assert [kinds(one) for one in found.columns] == [[], []]


def test_thousands_of_new_categories_are_one_finding_of_bounded_size() -> None:
    found = compared({"x": ["a", "b", "c"] * 2_000}, {"x": ["a"] * 1_000 + [f"new-{at}" * 50 for at in range(30_000)]})
    one = column(found)
    [finding] = one.findings
    assert finding.kind.value == "unseen_categories"
    assert "30,000 categories" in finding.message
    assert (len(finding.examples), max(map(len, finding.examples))) == (5, 80)
    assert len(found.model_dump_json()) < 10_000
    assert len(page_of(found)) < 40_000


def test_identifiers_are_not_compared() -> None:
    one = column(compared({"x": [f"a{at}" for at in range(500)]}, {"x": [f"b{at}" for at in range(500)]}))
    assert (kinds(one), one.verdict, one.severity) == (["not_compared"], Verdict.NOT_MEASURED, Severity.NONE)


def test_times_are_not_compared_but_their_gaps_are_seen() -> None:
    times = pa.array([0] * 1_000, pa.timestamp("us"))
    gaps = pa.array([0, None] * 500, pa.timestamp("us"))
    assert kinds(column(compared({"x": times}, {"x": times}))) == ["not_compared"]
    assert kinds(column(compared({"x": times}, {"x": gaps}))) == ["not_compared", "missing_values"]


def test_duplicated_rows_are_a_finding_of_the_table() -> None:
    known = {"x": PLAIN, "label": ["a", "b"] * 1_000}
    seen = {"x": np.tile(PLAIN[:1_000], 2), "label": ["a", "b"] * 1_000}
    found = compared(known, seen)
    assert (found.reference.duplicates, found.current.duplicates) == (0, 1_000)
    assert [one.kind.value for one in found.findings] == ["duplicates"]
    assert found.verdict is Verdict.DRIFTED


@pytest.mark.parametrize(
    "values",
    [[1e308, -1e308, 1e300], [5e-324, 0.0, -0.0], [2**62, 2**62 + 1, 5], [np.inf, -np.inf, np.nan], [1.0], [0.0, 1.0]],
)
def test_extreme_numbers_crash_nothing(values: list[float]) -> None:
    compared({"x": values}, {"x": values[::-1]})
    compared({"x": values * 400}, {"x": PLAIN})
    compared({"x": PLAIN}, {"x": values})


def test_a_few_rows_tell_nothing() -> None:
    assert column(compared({"x": [1.0, 2.0, 3.0]}, {"x": [7.0, 8.0]})).verdict is Verdict.CANNOT_TELL
    assert compared({"x": [1.0, 2.0, 3.0]}, {"x": [7.0, 8.0]}).verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"level": 0.0}, "level: expected"),
        ({"tolerance": -0.1}, "tolerance: expected"),
        ({"tolerance": float("nan")}, "tolerance: expected"),
        ({"target": "y"}, "target 'y' is in neither table"),
        ({"prediction": "p"}, "prediction 'p' is in neither table"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(question: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        compare(frame({"x": PLAIN}), frame({"x": PLAIN}), Question(**question))


def test_the_page_has_no_script_and_escapes_what_the_data_say() -> None:
    nasty = '<script>alert("x")</script>'
    found = compare(
        frame({nasty: [nasty, "b"] * 500, "x": PLAIN[:1_000]}, nasty),
        frame({nasty: ["<b>"] * 500, "x": PLAIN[:500]}, nasty),
    )
    page = page_of(found)
    assert "<script" not in page
    assert "<b>&lt" not in page
    assert "http" not in page
    assert "&lt;script&gt;" in page


def test_every_column_is_drawn() -> None:
    found = compare(frame({"x": PLAIN, "label": ["a", "b"] * 1_000}), frame({"x": PLAIN, "label": ["a", "c"] * 1_000}))
    page = page_of(found)
    assert page.count('class="chart"') == 2
    assert "label: reference and current" in page
