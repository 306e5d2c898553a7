"""The prototype's threshold and its figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.demo.prototype import FALSE_ALARMS, choose_threshold, judge
from fairlead.errors import BadInputError


@given(
    scores=st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]), min_size=1, max_size=400),
    seed=st.integers(0, 1_000),
)
def test_the_threshold_keeps_its_promise_and_is_the_lowest_that_does(scores: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = np.array(scores)
    labels = (rng.random(len(score)) < 0.3).astype(np.int8)
    labels[0] = 0
    weights = rng.uniform(0.5, 20, len(score))
    threshold = choose_threshold(score, labels, weights)
    negative = labels == 0
    total = weights[negative].sum()
    assert weights[negative & (score >= threshold)].sum() <= FALSE_ALARMS * total * (1 + 1e-9)
    assert threshold not in score
    if threshold > 1:
        assert not (score >= threshold).any()
    below = score[negative][score[negative] < threshold].max()
    assert weights[negative & (score >= below)].sum() > FALSE_ALARMS * total * (1 - 1e-9)


def test_exactly_the_allowed_share_is_flagged() -> None:
    scores = np.linspace(0, 0.9, 1_000)
    threshold = choose_threshold(scores, np.zeros(1_000, dtype=np.int8), np.ones(1_000))
    assert (scores >= threshold).sum() == 5


def test_a_threshold_needs_negatives() -> None:
    with pytest.raises(BadInputError, match="no validation row is negative"):
        choose_threshold(np.array([0.5]), np.array([1], dtype=np.int8), np.ones(1))


def test_figures_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1], dtype=np.int8)
    scores = np.array([0.1, 0.2, 0.3, 0.7, 0.6, 0.9])
    found = judge(scores, 0.65, (labels, np.ones(6)))
    assert (found.rows, found.positives) == (6, 2)
    assert found.auc == pytest.approx(7 / 8)
    assert found.accuracy == pytest.approx(5 / 6)
    assert found.accuracy_of_never == pytest.approx(4 / 6)
    assert found.recall == pytest.approx(1 / 2)
    assert found.false_alarms == pytest.approx(1 / 4)


def test_weights_count_rows_several_times() -> None:
    rng = np.random.default_rng(1)
    labels, scores = (rng.random(60) < 0.4).astype(np.int8), rng.random(60)
    times = rng.integers(1, 5, 60)
    weighted = judge(scores, 0.4, (labels, times.astype(float)))
    repeated = judge(np.repeat(scores, times), 0.4, (np.repeat(labels, times), np.ones(times.sum())))
    for name in ("auc", "average_precision", "accuracy", "accuracy_of_never", "recall", "false_alarms"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name)), name


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_gives_no_ranking_figures(label: int) -> None:
    found = judge(np.array([0.2, 0.8]), 0.5, (np.full(2, label, dtype=np.int8), np.ones(2)))
    assert (found.auc, found.average_precision) == (None, None)
    assert (found.recall is None) == (label == 0)
