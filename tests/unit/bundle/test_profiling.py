"""The reference profile: bins, counts and rates."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.bundle import PackResult, open_bundle, pack_model
from fairlead.bundle.profiling import FEATURE_BINS, category_profile, numeric_profile
from fairlead.bundle.sample import Array, read_sample
from fairlead.errors import BadInputError

if TYPE_CHECKING:
    import lightgbm


@given(st.lists(st.floats(-1e6, 1e6) | st.integers(0, 3).map(float), min_size=1, max_size=200))
def test_every_value_is_counted_in_the_bin_that_its_definition_says(values: list[float]) -> None:
    profile = numeric_profile(np.array(values), FEATURE_BINS)
    assert len(profile.counts) == len(profile.edges) + 1
    assert len(profile.edges) <= FEATURE_BINS - 1
    assert profile.edges == sorted(set(profile.edges))
    bounds = [-np.inf, *profile.edges, np.inf]
    expected = [sum(low <= v < high for v in values) for low, high in pairwise(bounds)]
    assert profile.counts == expected


def test_bins_of_a_smooth_column_hold_equal_shares() -> None:
    profile = numeric_profile(np.random.default_rng(0).normal(size=20_000), FEATURE_BINS)
    assert len(profile.edges) == FEATURE_BINS - 1
    assert max(abs(count - 1_000) for count in profile.counts) <= 1


def test_two_values_fall_into_two_bins() -> None:
    profile = numeric_profile(np.array([0.0] * 90 + [1.0] * 10), FEATURE_BINS)
    assert profile.edges == [0.0, 1.0]
    assert profile.counts == [0, 90, 10]
    assert profile.distinct == 2


def test_the_commonest_categories_are_named_and_the_others_counted() -> None:
    values = [f"c{number:03d}" for number in range(250) for _ in range(2 if number < 5 else 1)]
    profile = category_profile(values)
    assert list(profile.counts)[:5] == ["c000", "c001", "c002", "c003", "c004"]
    assert len(profile.counts) == 200
    assert profile.other == 50
    assert profile.distinct == 250


def test_the_profile_of_a_bundle_adds_up(packed: PackResult, table: dict[str, Array]) -> None:
    profile = open_bundle(packed.path).profile
    assert profile.rows == len(table["fraud"])
    assert profile.label_rate == pytest.approx(table["fraud"].mean())
    assert profile.score is not None
    assert sum(profile.score.counts) == profile.rows
    by_name = {feature.name: feature for feature in profile.features}
    assert by_name["balance"].missing == int(np.isnan(table["balance"]).sum())
    for feature in by_name.values():
        assert feature.numeric is not None
        assert sum(feature.numeric.counts) + feature.missing == feature.count == profile.rows


def test_segment_rates_are_those_of_the_rows(packed: PackResult, table: dict[str, Array]) -> None:
    predictor = open_bundle(packed.path).predictor()
    outputs = predictor.infer_columns(read_sample(table).columns)
    rates = {rate.value: rate for rate in packed.profile.segments}
    assert sorted(rates) == ["de", "fr", "us"]
    for country, rate in rates.items():
        inside = table["country"] == country
        scores = outputs["probabilities"][inside, 1]
        assert rate.count == inside.sum()
        assert rate.positive_labels == table["fraud"][inside].sum()
        assert rate.positive_decisions == (scores >= 0.5).sum()
        assert rate.mean_score == pytest.approx(scores.astype(float).mean())


def test_a_segment_of_too_many_values_is_refused(
    table: dict[str, Array], model: lightgbm.Booster, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match="segment column 'balance' has"):
        pack_model(model, name="m", data=table, target="fraud", out=tmp_path, segments=["balance"])
