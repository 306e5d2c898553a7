"""The parity report: what counts as a difference, and when it is too large."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from fairlead.bundle.parity import Compared, check_finite, compare
from fairlead.errors import BundleError
from fairlead.schema.bundle import ParityReport
from fairlead.schema.signature import Datatype, Decision, Task, TensorSpec

BINARY = Decision(task=Task.BINARY, score_output="p", score_column=1, threshold=0.5, labels=[0, 1])
MANY = Decision(task=Task.MULTICLASS, score_output="p", labels=["a", "b", "c"])
NUMBER = Decision(task=Task.REGRESSION, score_output="p")
OUTPUTS = [TensorSpec(name="p", datatype=Datatype.FP32, shape=[-1, 2])]


def report(before: ArrayLike, after: ArrayLike, decision: Decision = BINARY, tolerance: float = 1e-4) -> ParityReport:
    outputs = {"p": np.array(before)}, {"p": np.array(after)}
    return compare(*outputs, Compared(decision, OUTPUTS, tolerance))


def test_the_largest_difference_and_the_changed_decisions_are_counted() -> None:
    found = report([[0.6, 0.4], [0.49999, 0.50001]], [[0.6, 0.4], [0.50001, 0.49999]])
    assert found.rows == 2
    assert found.largest_difference == pytest.approx(2e-5)
    assert found.changed_decisions == 1
    assert found.passed


def test_a_difference_above_the_tolerance_does_not_pass() -> None:
    assert not report([[0.6, 0.4]], [[0.6, 0.4002]]).passed
    assert report([[0.6, 0.4]], [[0.6, 0.4002]], tolerance=1e-3).passed


def test_a_multiclass_decision_is_the_largest_score() -> None:
    found = report([[0.2, 0.3, 0.5]], [[0.2, 0.5, 0.3]], MANY)
    assert found.changed_decisions == 1


def test_the_tolerance_of_a_regression_grows_with_its_values() -> None:
    found = report([200_000.0, 1.0], [200_000.01, 1.0], NUMBER)
    assert found.tolerance == pytest.approx(20.0)
    assert found.passed
    assert not report([0.5], [0.501], NUMBER).passed


def test_one_column_and_none_are_the_same_answer() -> None:
    assert report([1.0, 2.0], [[1.0], [2.0]], NUMBER).passed


def test_another_number_of_scores_is_an_error() -> None:
    with pytest.raises(BundleError, match="output 'p': shape"):
        report([[0.2, 0.8]], [[0.2, 0.3, 0.5]])


def test_a_difference_that_is_no_number_is_the_largest_there_is() -> None:
    found = report([[0.6, 0.4]], [[0.6, np.nan]])
    assert not found.passed
    assert found.largest_difference == np.finfo(float).max


def test_an_answer_that_is_no_number_is_named() -> None:
    with pytest.raises(BundleError, match="output 'p' is not a finite number in sample row 1"):
        check_finite({"label": np.array([1, 2]), "p": np.array([[0.1, 0.2], [np.inf, 0.0]])})
