"""Performance by bins: that of the rows, whatever the replicas; expected where labels are not known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from fairlead.errors import BadInputError
from fairlead.monitor.estimated import (
    Scored,
    accuracy_error,
    calibrated,
    estimated,
    outcome_streams,
    outcome_tick,
    realised,
    scored,
)
from fairlead.monitor.sequential.detector import Detector, Promise
from fairlead.monitor.sequential.localise import alarm

BINS = 12
TABLES = st.lists(st.tuples(*[st.integers(0, 30)] * 4), min_size=BINS, max_size=BINS)


def table(values: list[tuple[int, ...]]) -> Scored:
    cells = np.array(values)
    return scored(cells[:, :2] + cells[:, 2:], cells[:, 2:])


def simulated(seed: int, rows: int, positive: NDArray[np.float64] | None = None) -> Scored:
    """Scores in tenths that mean what they say, or `positive` by bin."""
    rng = np.random.default_rng(seed)
    probability = (np.arange(10) + 0.5) / 10 if positive is None else positive
    bins = rng.choice(10, rows, p=np.arange(10, 0, -1) / 55)
    label = rng.random(rows) < probability[bins]
    found = np.zeros((2, 10, 2), dtype=np.int64)
    np.add.at(found[0], (bins, (bins >= 5).astype(int)), 1)
    np.add.at(found[1], (bins, (bins >= 5).astype(int)), label)
    return scored(found[0], found[1])


@given(TABLES)
@settings(max_examples=20, deadline=None)
def test_realised_performance_is_that_of_scikit_learn_on_the_rows(values: list[tuple[int, ...]]) -> None:
    found = table(values)
    assert found.positives is not None
    label, score, decision = [], [], []
    for k, d in np.ndindex(BINS, 2):
        hit, all_ = int(found.positives[k, d]), int(found.rows[k, d])
        label += [1] * hit + [0] * (all_ - hit)
        score += [k] * all_
        decision += [d] * all_
    got = realised(found)
    if not 0 < sum(label) < len(label):
        assert got.roc_auc is None
        return
    assert got.roc_auc == pytest.approx(roc_auc_score(label, score))
    assert got.average_precision == pytest.approx(average_precision_score(label, score))
    assert got.accuracy == pytest.approx(np.mean(np.array(label) == decision))
    if sum(decision):
        assert got.precision == pytest.approx(precision_score(label, decision))
    assert got.recall == pytest.approx(recall_score(label, decision))
    assert got.f1 == pytest.approx(f1_score(label, decision))
    assert got.specificity == pytest.approx(recall_score(label, decision, pos_label=0))


@given(TABLES)
@settings(max_examples=50, deadline=None)
def test_calibration_is_isotonic_regression(values: list[tuple[int, ...]]) -> None:
    found = table(values)
    rows, positives = found.rows.sum(axis=1), np.asarray(found.positives).sum(axis=1)
    if not rows.sum():
        return
    filled = np.flatnonzero(rows)
    oracle = IsotonicRegression(out_of_bounds="clip").fit(filled, positives[filled] / rows[filled], rows[filled])
    assert calibrated(found) == pytest.approx(oracle.predict(np.arange(BINS)))


@given(TABLES, TABLES)
@settings(max_examples=30, deadline=None)
def test_replicas_add_up(first: list[tuple[int, ...]], second: list[tuple[int, ...]]) -> None:
    together = [tuple(a + b for a, b in zip(x, y, strict=True)) for x, y in zip(first, second, strict=True)]
    assert realised(table(first) + table(second)) == realised(table(together))


def test_the_estimate_is_what_is_realised_while_scores_mean_what_they_meant() -> None:
    reference, live = simulated(1, 50_000), simulated(2, 50_000)
    expected, real = estimated(Scored(live.rows), calibrated(reference)), realised(live)
    assert expected.roc_auc == pytest.approx(real.roc_auc, abs=0.01)
    assert expected.f1 == pytest.approx(real.f1, abs=0.01)
    assert expected.true_positives + expected.false_negatives == pytest.approx(
        real.true_positives + real.false_negatives, rel=0.02
    )


def test_the_error_of_the_estimate_is_what_it_says() -> None:
    probability = (np.arange(10) + 0.5) / 10
    off = []
    for seed in range(400):
        live = simulated(seed, 500)
        error, expected, real = accuracy_error(live, probability), estimated(live, probability), realised(live)
        assert error is not None
        assert expected.accuracy is not None
        assert real.accuracy is not None
        off.append((real.accuracy - expected.accuracy) / error)
    assert np.std(off) == pytest.approx(1, abs=0.12)
    assert np.mean(off) == pytest.approx(0, abs=0.2)


def test_concept_drift_is_invisible_to_the_estimate_and_found_by_outcomes() -> None:
    reference = simulated(3, 100_000)
    meant = (np.arange(10) + 0.5) / 10
    changed = np.where(np.arange(10) >= 7, meant - 0.25, meant)
    detector = Detector(outcome_streams(reference), Promise(1e5, 0.0))
    found, state = {}, detector.start()
    for name, positive in (("calm", meant), ("changed", changed)):
        state = detector.start()
        for seed in range(20):
            state = detector.advance(state, outcome_tick(simulated(100 + seed, 500, positive), reference))
        found[name] = detector.alarms(state)
    assert found == {"calm": False, "changed": True}
    assert {part.stream for part in alarm(detector, state).named} <= {f"outcome in score bin {k}" for k in (7, 8, 9)}
    live = simulated(5, 20_000, changed)
    probability = calibrated(reference)
    assert estimated(live, probability).accuracy == pytest.approx(
        estimated(simulated(6, 20_000), probability).accuracy, abs=0.01
    )


def test_labels_of_scores_that_the_reference_lacks_are_left_out() -> None:
    reference = scored([[5, 5], [0, 0], [5, 5]], [[1, 1], [0, 0], [4, 4]])
    assert [found.name for found in outcome_streams(reference)] == [f"outcome in score bin {k}" for k in (0, 2)]
    tick = outcome_tick(scored([[1, 0], [7, 7], [2, 3]], [[1, 0], [7, 7], [2, 1]]), reference)
    assert tick.rows == 6
    assert tick.counts == {"outcome in score bin 0": [1, 0], "outcome in score bin 2": [3, 2]}
    with pytest.raises(BadInputError, match="live: expected 3 bins, got 1"):
        outcome_tick(scored([[1, 0]], [[1, 0]]), reference)


def test_nothing_is_no_performance() -> None:
    empty = scored(np.zeros((3, 2)), np.zeros((3, 2)))
    got = realised(empty)
    values = (got.accuracy, got.precision, got.recall, got.specificity, got.f1, got.roc_auc, got.average_precision)
    assert values == (None,) * 7
    assert accuracy_error(empty, np.zeros(3)) is None


@pytest.mark.parametrize(
    ("rows", "positives", "message"),
    [
        ([1, 2], None, r"rows: expected shape \(bins, 2\)"),
        ([[1, 2, 3]], None, r"rows: expected shape \(bins, 2\)"),
        ([[1, -2]], None, "rows: expected whole numbers from 0, got -2"),
        ([[1, 2]], [[1, 3]], "positives: expected at most as many as rows, got .3."),
        ([[1, 2]], [[1, 2], [0, 0]], r"positives: expected \(1, 2\)"),
    ],
)
def test_counts_that_make_no_sense_are_refused(rows: object, positives: object, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        scored(rows, positives)  # type: ignore[arg-type]  # wrong, or not to be told, on purpose


def test_what_needs_labels_says_so() -> None:
    unknown = scored([[5, 5]])
    for use in (realised, calibrated, outcome_streams, lambda live: outcome_tick(live, scored([[5, 5]], [[1, 1]]))):
        with pytest.raises(BadInputError, match="expected labels, got none"):
            use(unknown)
    with pytest.raises(BadInputError, match="positives: expected in both or in neither"):
        _ = unknown + scored([[5, 5]], [[1, 1]])
    with pytest.raises(BadInputError, match="reference: expected 1 row or more"):
        calibrated(scored([[0, 0]], [[0, 0]]))
    with pytest.raises(BadInputError, match="probability: expected 1 bins"):
        estimated(unknown, np.array([0.1, 0.2]))
