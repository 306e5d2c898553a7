"""How well predictions met their targets on both sides, and whether that became worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fairlead.monitor import metrics
from fairlead.monitor.distances import Floats
from fairlead.monitor.metrics import Estimate
from fairlead.monitor.question import Question
from fairlead.schema.comparison import MetricComparison, PerformanceComparison, Severity, Verdict
from fairlead.store.columns import Categories, Column, Frame, Numbers

SHARE_GRADES = (0.01, 0.03, 0.05)
"""From which loss on a share (accuracy, AUROC, precision, recall) is a small, moderate, large one, in points."""
LOSS_GRADES = (0.05, 0.1, 0.25)
"""The same for a loss that grew (Brier, log loss, MAE, RMSE), relative to the reference."""
MOST_CLASSES = 50
MOST_METRICS = 6
TRUE = ("true", "1", "1.0", "yes")
Task = Literal["binary", "multiclass", "regression"]
Texts = np.ndarray[tuple[int], np.dtype[np.str_]]


@dataclass(frozen=True, slots=True)
class Answers:
    """Rows with both a target and a prediction: numbers, or labels."""

    target: Floats | Texts
    prediction: Floats | Texts


@dataclass(frozen=True, slots=True)
class _Problem:
    task: Task
    positive: str | None = None
    scores: bool = False


def compare(
    reference: Frame, current: Frame, question: Question, level: float
) -> tuple[PerformanceComparison | None, str | None]:
    """Return the metrics of both sides, or None and why there are none (None where nothing was asked)."""
    if question.target is None or question.prediction is None:
        return None, None
    sides = []
    for frame in (reference, current):
        missing = [name for name in (question.target, question.prediction) if name not in frame.columns]
        if missing:
            return None, f"{frame.name} has no column {missing[0]!r}"
        found = _answers(frame.columns[question.target], frame.columns[question.prediction])
        if isinstance(found, str):
            return None, f"{frame.name}: {found}"
        sides.append(found)
    if sides[0].target.dtype.kind != sides[1].target.dtype.kind:
        return None, "targets or predictions are of different types"
    problem = _problem(sides[0], question)
    if isinstance(problem, str):
        return None, problem
    measured = [_measure(problem, side, question) for side in sides]
    if isinstance(measured[0], str) or isinstance(measured[1], str):
        return None, next(one for one in measured if isinstance(one, str))
    known, seen = measured
    assert not isinstance(known, str)
    assert not isinstance(seen, str)
    found_metrics = [_compared(name, one, seen[name], level) for name, one in known.items() if name in seen]
    return PerformanceComparison(
        task=problem.task,
        positive=problem.positive,
        reference_rows=len(sides[0].target),
        current_rows=len(sides[1].target),
        metrics=found_metrics,
    ), None


def _answers(target: Column, prediction: Column) -> Answers | str:
    """The rows with both, as numbers where both columns are numbers, else as labels where both are."""
    if isinstance(target, Numbers) and isinstance(prediction, Numbers):
        there = np.isfinite(target.values) & np.isfinite(prediction.values)
        found = Answers(target.values[there], prediction.values[there])
    elif isinstance(target, Categories) and isinstance(prediction, Numbers):
        there = (target.codes >= 0) & np.isfinite(prediction.values)
        found = Answers(_labels(target)[there], prediction.values[there])
    elif isinstance(target, Categories) and isinstance(prediction, Categories):
        there = (target.codes >= 0) & (prediction.codes >= 0)
        found = Answers(_labels(target)[there], _labels(prediction)[there])
    else:
        return f"a target of type {target.type} and a prediction of type {prediction.type} do not go together"
    return found if there.any() else "no row has both a target and a prediction"


def _labels(column: Categories) -> Texts:
    return np.array([*column.labels, ""], dtype=np.str_)[column.codes]


def _problem(side: Answers, question: Question) -> _Problem | str:
    labels = np.unique(side.target).tolist()
    few = len(labels) <= MOST_CLASSES and all(isinstance(one, str) or one.is_integer() for one in labels)
    if few and len(labels) > 1 and np.isin(np.unique(side.prediction), labels).all():
        positive = _positive(labels, question) if len(labels) == 2 else None
        return _Problem("binary" if positive is not None else "multiclass", positive)
    if side.prediction.dtype.kind == "U":
        return "the predictions are labels that are no targets"
    scores = bool(side.prediction.min() >= 0 and side.prediction.max() <= 1)
    if len(labels) == 2 and few and scores:
        positive = _positive(labels, question)
        if positive is None:
            both = " or ".join(map(_text, labels))
            return f"are the scores of {both}? name the positive label"
        return _Problem("binary", positive, scores=True)
    if side.target.dtype.kind == "U":
        return "the predictions are numbers, but no probabilities of one of two labels"
    return _Problem("regression")


def _positive(labels: Sequence[object], question: Question) -> str | None:
    texts = [_text(one) for one in labels]
    if question.positive is not None:
        return question.positive if question.positive in texts else None
    return next((text for text in texts if text.lower() in TRUE), None)


def _text(label: object) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)


def _measure(problem: _Problem, side: Answers, question: Question) -> Mapping[str, Estimate] | str:
    if problem.task == "regression":
        return metrics.regression(_floats(side.target), _floats(side.prediction))
    if problem.task == "multiclass" or problem.positive is None:
        return metrics.labels(side.target == side.prediction)
    truth = _is(side.target, problem.positive)
    if not problem.scores:
        return metrics.decisions(truth, _is(side.prediction, problem.positive))
    if truth.all() or not truth.any():
        return "all targets of one side are the same"
    return metrics.scores(truth, _floats(side.prediction), question.cut)


def _floats(values: Floats | Texts) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _is(values: Floats | Texts, label: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if values.dtype.kind == "U":
        return np.asarray(values == label)
    return np.asarray(values == float(label))


def _compared(name: str, known: Estimate, seen: Estimate, level: float) -> MetricComparison:
    change = seen.value - known.value
    margin = metrics.margin(known, seen, level)
    share = known.better == "higher"
    scale = -1.0 if share else 1.0 / known.value if known.value else np.inf
    worse, span = (change * scale, abs(margin * scale)) if change or margin else (0.0, 0.0)
    grades = SHARE_GRADES if share else LOSS_GRADES
    severity = _severity(worse, grades)
    if worse - span > 0 and severity is not Severity.NONE:
        verdict = Verdict.DRIFTED
    else:
        verdict = Verdict.STABLE if worse + span < grades[1] else Verdict.CANNOT_TELL
    return MetricComparison(
        name=name,
        better=known.better,
        reference=known.value,
        current=seen.value,
        change=change,
        low=change - margin,
        high=change + margin,
        verdict=verdict,
        severity=severity,
    )


def _severity(worse: float, grades: tuple[float, float, float]) -> Severity:
    ranked = (Severity.SMALL, Severity.MODERATE, Severity.LARGE)
    return next(
        (one for bound, one in reversed(list(zip(grades, ranked, strict=True))) if worse >= bound), Severity.NONE
    )
