"""Performance where there are targets: values by hand and by scikit-learn, intervals by simulation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from fairlead.monitor import metrics
from fairlead.monitor.comparison import compare
from fairlead.monitor.question import Question
from fairlead.schema.comparison import MetricComparison, PerformanceComparison, Severity, Verdict
from tests.unit.monitor.tables import frame

ROLES = Question(target="y", prediction="p")


def performed(
    known: Mapping[str, object], seen: Mapping[str, object], question: Question = ROLES
) -> PerformanceComparison:
    found = compare(frame(known), frame(seen), question)
    assert found.performance is not None, found.performance_reason
    return found.performance


def metric(found: PerformanceComparison, name: str) -> MetricComparison:
    return next(one for one in found.metrics if one.name == name)


def scored(rows: int, seed: int, noise: float = 1.0) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=rows)
    return {
        "y": (rng.random(rows) < 1 / (1 + np.exp(-2 * signal))).astype(int),
        "p": 1 / (1 + np.exp(-2 * (signal * noise + rng.normal(size=rows) * (1 - noise)))),
    }


def test_metrics_of_scores_are_those_of_scikit_learn() -> None:
    table = scored(3_000, 1)
    truth, score = np.asarray(table["y"]), np.asarray(table["p"])
    found = performed(table, scored(2_000, 2))
    expected = {
        "auroc": sk.roc_auc_score(truth, score),
        "log_loss": sk.log_loss(truth, score),
        "brier": sk.brier_score_loss(truth, score),
        "accuracy": sk.accuracy_score(truth, score >= 0.5),
        "precision": sk.precision_score(truth, score >= 0.5),
        "recall": sk.recall_score(truth, score >= 0.5),
    }
    assert {one.name: one.reference for one in found.metrics} == pytest.approx(expected)
    assert (found.task, found.positive) == ("binary", "1")


def test_a_model_that_became_worse_is_called_worse_and_one_that_did_not_is_not() -> None:
    worse, same = performed(scored(5_000, 1), scored(5_000, 2, 0.3)), performed(scored(50_000, 1), scored(50_000, 3))
    assert metric(worse, "auroc").verdict is Verdict.DRIFTED
    assert metric(worse, "auroc").severity is Severity.LARGE
    assert metric(worse, "auroc").high < 0
    assert {one.verdict for one in same.metrics} == {Verdict.STABLE}
    few = performed(scored(5_000, 1), scored(40, 2))
    assert metric(few, "auroc").verdict is Verdict.CANNOT_TELL


def test_chance_alone_is_not_called_worse() -> None:
    found = [performed(scored(100, seed), scored(100, seed + 1_000)) for seed in range(40)]
    alarms = sum(any(one.verdict is Verdict.DRIFTED for one in each.metrics) for each in found)
    assert alarms <= 4  # of 40, at a level of 5 % for all metrics and columns together


def test_numbers_and_labels_have_metrics_of_their_own() -> None:
    rng = np.random.default_rng(4)
    truth = rng.normal(size=1_000)
    numbers = {"y": truth, "p": truth + rng.normal(0, 0.5, 1_000)}
    found = performed(numbers, numbers)
    assert found.task == "regression"
    assert metric(found, "mae").reference == pytest.approx(sk.mean_absolute_error(numbers["y"], numbers["p"]))
    assert metric(found, "rmse").reference == pytest.approx(sk.root_mean_squared_error(numbers["y"], numbers["p"]))
    labels = {"y": ["a", "b", "c", "c"] * 50, "p": ["a", "b", "c", "a"] * 50}
    assert performed(labels, labels).task == "multiclass"
    assert metric(performed(labels, labels), "accuracy").reference == 0.75
    decided = {"y": [True, False] * 50, "p": [True, True] * 50}
    assert performed(decided, decided).positive == "true"
    assert metric(performed(decided, decided), "precision").reference == 0.5


def test_the_positive_label_is_found_or_named() -> None:
    table = {"y": ["yes", "no"] * 100, "p": [0.9, 0.2] * 100}
    assert performed(table, table).positive == "yes"
    other = {"y": ["good", "bad"] * 100, "p": [0.9, 0.2] * 100}
    named = Question(target="y", prediction="p", positive="bad")
    assert metric(performed(other, other, named), "auroc").reference == 0.0
    reason = compare(frame(other), frame(other), ROLES).performance_reason
    assert reason == "are the scores of bad or good? name the positive label"


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"y": [1, 0], "p": ["a", "b"]}, "do not go together"),
        ({"y": ["a", "b"], "p": ["c", "d"]}, "labels that are no targets"),
        ({"y": ["a", "b", "c"], "p": [0.1, 0.2, 0.3]}, "no probabilities of one of two labels"),
        ({"y": [None, 1.0], "p": [0.1, None]}, "no row has both"),
    ],
)
def test_what_cannot_be_measured_is_said(known: dict[str, object], words: str) -> None:
    found = compare(frame(known), frame(known), ROLES)
    assert found.performance is None
    assert words in str(found.performance_reason)


def test_a_side_without_targets_or_with_one_class_is_said() -> None:
    table = scored(500, 1)
    found = compare(frame(table), frame({"p": table["p"]}, "cur"), ROLES)
    assert found.performance_reason == "cur has no column 'y'"
    one_class = {"y": [1] * 50, "p": [0.5, 0.6] * 25}
    assert "are the same" in str(compare(frame(table), frame(one_class), ROLES).performance_reason)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_auroc_is_that_of_scikit_learn_with_ties(rows: list[tuple[bool, int]]) -> None:
    truth, score = np.array([one for one, _ in rows]), np.array([float(other) for _, other in rows])
    if truth.any() and not truth.all():
        found = metrics.auroc(truth, score)
        assert found.value == pytest.approx(sk.roc_auc_score(truth, score))
        assert metrics.auroc(~truth, score).value == pytest.approx(1 - found.value)
        assert metrics.auroc(~truth, score).variance == pytest.approx(found.variance)


@pytest.mark.parametrize("name", ["auroc", "log_loss", "brier", "accuracy", "precision", "recall"])
def test_variances_are_those_of_repeated_samples(name: str) -> None:
    found = []
    for seed in range(300):
        table = scored(400, seed)
        found.append(metrics.scores(np.asarray(table["y"]) == 1, np.asarray(table["p"]), 0.5)[name])
    assert np.mean([one.variance for one in found]) == pytest.approx(np.var([one.value for one in found]), rel=0.3)
