"""Simulated rollouts: rules are told apart, and the worlds are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.rollouts import detection, late_labels, same_model
from benchmarks.rollouts.late_labels import Late
from benchmarks.rollouts.traffic import World, beyond_limit, latency_quantile, latency_shares, score_shares


def test_worlds_are_distributions() -> None:
    for shares in (latency_shares(), latency_shares(1.5), score_shares(), score_shares(0.3)):
        assert shares.sum() == pytest.approx(1)
    assert score_shares() == pytest.approx(np.full(10, 0.1))
    assert beyond_limit(0.99, 1.0) == pytest.approx(0.01)
    assert beyond_limit(0.99, 1.5) > 0.06
    assert latency_quantile(0.5) == 1


def test_a_ramp_has_three_equal_steps() -> None:
    world = World(seconds=300)
    assert [world.epoch(second) for second in (0, 99, 100, 199, 200, 299)] == [0, 0, 1, 1, 2, 2]


def test_every_rule_judges_the_same_rollouts() -> None:
    found = same_model.wrongly_rolled_back(np.random.default_rng(25), World(seconds=120), 50)
    assert len(found) == 9
    assert found["Fairlead, any guardrail"] <= 0.2
    assert all(0 <= share <= 1 for share in found.values())


def test_ten_times_the_errors_are_found_soon_and_none_more_are_not() -> None:
    worse = detection.detect(np.random.default_rng(26), detection.error_case(0.005, 0.05), 50)
    assert worse.median is not None
    assert worse.median < 3 * worse.fixed
    assert worse.share > 0.9
    alike = detection.certified_case(0.01, 2.0)
    assert detection.detect(np.random.default_rng(27), alike, 50).share > 0.9


def test_late_labels_alarm_where_the_ramp_is_pooled_and_find_what_is_there() -> None:
    alike = late_labels.rolled_back(np.random.default_rng(28), Late(units=1_500), 12)
    assert set(alike) == {*late_labels.METHODS, late_labels.POOLED}
    assert all(alike[name].share <= 0.25 for name in late_labels.METHODS)
    assert alike[late_labels.POOLED].share > 0.3
    worse = late_labels.rolled_back(np.random.default_rng(29), Late(ratio=3.0), 6)
    early, late = (worse[name].median for name in late_labels.METHODS)
    assert early is not None
    assert late is not None
    assert early < late
