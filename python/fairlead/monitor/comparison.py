"""Compare two tables: every column, the tables themselves, and performance where there are targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from fairlead.errors import BadInputError
from fairlead.monitor import performance, quality
from fairlead.monitor.conventions import evidently, fairlead, nannyml
from fairlead.monitor.conventions.judged import Judged
from fairlead.monitor.distribution import distribution_of
from fairlead.monitor.pairs import NumberPair, Pair, category_facts, kind_of, number_facts, pair_of
from fairlead.monitor.question import Question
from fairlead.monitor.shift import Caution, severity_of, verdict_of
from fairlead.schema.comparison import (
    ColumnComparison,
    ColumnKind,
    ColumnRole,
    Comparison,
    Convention,
    Finding,
    FindingKind,
    PerformanceComparison,
    Severity,
    TableFacts,
    Verdict,
)
from fairlead.store.columns import Column, Frame, Unread

JUDGES: dict[Convention, Callable[[Pair], Judged]] = {
    Convention.FAIRLEAD: fairlead.judge,
    Convention.EVIDENTLY: evidently.judge,
    Convention.NANNYML: nannyml.judge,
}


def compare(
    reference: Frame,
    current: Frame,
    question: Question = Question(),  # noqa: B008 - frozen
    each: Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]] = map,
) -> Comparison:
    """Return what differs. `each` maps over columns, and may do so side by side.

    Raises `BadInputError` where the level, the tolerance, or a named column is none.
    """
    names = [*reference.columns, *(name for name in current.columns if name not in reference.columns)]
    _check(question, names)
    effects = quality.TESTS * len(names) + 1 + performance.MOST_METRICS
    caution = Caution(question.level / effects, question.tolerance)
    columns = list(each(partial(_column, reference, current, question, caution), names))
    columns.sort(key=_worst_first)
    rows: list[TableFacts] = list(each(_facts, (reference, current)))
    repeated = ([one.duplicates for one in rows], [one.rows for one in rows])
    findings = list(quality.share_changed(FindingKind.DUPLICATES, "the rows are duplicates", repeated, caution))
    performed, reason = performance.compare(reference, current, question, caution.level)
    judged = [one for one in columns if one.verdict is not Verdict.NOT_MEASURED]
    drifted = [one for one in judged if one.verdict is Verdict.DRIFTED]
    return Comparison(
        convention=question.convention,
        level=question.level,
        tolerance=question.tolerance,
        reference=rows[0],
        current=rows[1],
        columns=columns,
        findings=findings,
        performance=performed,
        performance_reason=reason,
        verdict=_verdict(columns, findings, performed),
        severity=_worst([*(one.severity for one in columns), *(one.severity for one in findings), *_of(performed)]),
        drifted_share=len(drifted) / len(judged) if judged else 0.0,
    )


def _facts(frame: Frame) -> TableFacts:
    return TableFacts(name=frame.name, rows=frame.rows, duplicates=quality.duplicates(frame))


def _check(question: Question, names: list[str]) -> None:
    if not 0 < question.level < 1:
        raise BadInputError(f"level: expected a number strictly between 0 and 1, got {question.level}")
    if not 0 <= question.tolerance < 10:
        raise BadInputError(f"tolerance: expected a number from 0 and below 10, got {question.tolerance}")
    for role, name in (("target", question.target), ("prediction", question.prediction)):
        if name is not None and name not in names:
            raise BadInputError(f"{role} {name!r} is in neither table", hint=f"their columns are: {', '.join(names)}")


def _column(reference: Frame, current: Frame, question: Question, caution: Caution, name: str) -> ColumnComparison:
    role = {question.target: ColumnRole.TARGET, question.prediction: ColumnRole.PREDICTION}.get(
        name, ColumnRole.FEATURE
    )
    known, seen = reference.columns.get(name), current.columns.get(name)
    if known is None or seen is None:
        return _absent(name, role, known if seen is None else seen, gone=seen is None)
    pair = pair_of(known, seen)
    if pair is None:
        return _not_comparable(role, known, seen, (reference.rows, current.rows), caution)
    found = _compared(pair, question, caution)
    return found.model_copy(update={"role": role})


def _compared(pair: Pair, question: Question, caution: Caution) -> ColumnComparison:
    findings = quality.findings(pair, caution)
    if isinstance(pair, NumberPair):
        kind, facts = ColumnKind.NUMBER, [number_facts(pair.reference), number_facts(pair.current)]
    else:
        kind, facts = ColumnKind.CATEGORY, [category_facts(pair.reference), category_facts(pair.current)]
    effect = fairlead.effect(pair, caution)
    judged = Judged(verdict=Verdict.NOT_MEASURED)
    if quality.identifier(pair):
        effect = None
        words = "nearly every value is different (an identifier?): its distribution says nothing"
        findings.append(Finding(kind=FindingKind.NOT_COMPARED, severity=Severity.NONE, message=words))
    elif effect is not None:
        judged = JUDGES[question.convention](pair)
        findings += quality.constant(pair, effect, caution)
    verdict = judged.verdict
    if verdict is None:
        assert effect is not None
        verdict = verdict_of(effect, caution)
    drift = severity_of(effect.size) if effect and verdict is Verdict.DRIFTED else Severity.NONE
    return ColumnComparison(
        name=pair.name,
        kind=kind,
        verdict=verdict,
        severity=_worst([drift, *(one.severity for one in findings)]),
        effect=effect,
        measures=judged.measures,
        findings=findings,
        reference=facts[0],
        current=facts[1],
        distribution=None if effect is None else distribution_of(pair),
    )


def _absent(name: str, role: ColumnRole, column: Column | None, *, gone: bool) -> ColumnComparison:
    assert column is not None
    finding = Finding(
        kind=FindingKind.MISSING_COLUMN if gone else FindingKind.EXTRA_COLUMN,
        severity=Severity.LARGE if gone else Severity.NONE,
        message="the column is gone" if gone else "the reference has no such column",
    )
    return ColumnComparison(
        name=name,
        role=role,
        kind=kind_of(column),
        verdict=Verdict.NOT_MEASURED,
        severity=finding.severity,
        findings=[finding],
    )


def _not_comparable(
    role: ColumnRole, known: Column, seen: Column, rows: tuple[int, int], caution: Caution
) -> ColumnComparison:
    if isinstance(known, Unread) and isinstance(seen, Unread) and known.type == seen.type:
        words = f"values of type {known.type} are not compared" if not known.untyped else "no value on either side"
        findings = [Finding(kind=FindingKind.NOT_COMPARED, severity=Severity.NONE, message=words)]
        missing = ([known.missing, seen.missing], list(rows))
        findings += quality.share_changed(FindingKind.MISSING_VALUES, "the values are missing", missing, caution)
    else:
        words = f"the type was {known.type} and is {seen.type}"
        findings = [Finding(kind=FindingKind.TYPE_CHANGED, severity=Severity.LARGE, message=words)]
    return ColumnComparison(
        name=known.name,
        role=role,
        kind=kind_of(known),
        verdict=Verdict.NOT_MEASURED,
        severity=_worst(one.severity for one in findings),
        findings=findings,
    )


def _verdict(
    columns: list[ColumnComparison], findings: list[Finding], performed: PerformanceComparison | None
) -> Verdict:
    verdicts = {one.verdict for one in columns} | {one.verdict for one in (performed.metrics if performed else ())}
    if Verdict.DRIFTED in verdicts or any(one.severity is not Severity.NONE for one in columns) or findings:
        return Verdict.DRIFTED
    if Verdict.CANNOT_TELL in verdicts:
        return Verdict.CANNOT_TELL
    return Verdict.STABLE if Verdict.STABLE in verdicts else Verdict.NOT_MEASURED


def _of(performed: PerformanceComparison | None) -> list[Severity]:
    metrics = performed.metrics if performed else []
    return [one.severity for one in metrics if one.verdict is Verdict.DRIFTED]


def _worst(severities: Iterable[Severity]) -> Severity:
    return max(severities, key=lambda one: one.rank, default=Severity.NONE)


def _worst_first(column: ColumnComparison) -> tuple[int, bool, float]:
    size = column.effect.size if column.effect else 0.0
    return -column.severity.rank, column.verdict is not Verdict.DRIFTED, -size
