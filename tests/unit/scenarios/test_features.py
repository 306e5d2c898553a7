"""Features look back only, and count what they say."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import BadInputError
from fairlead.scenarios.features import FEATURES, Columns, point_in_time_features
from fairlead.scenarios.payments import PaymentsScenario, Stream, generate

WINDOWS = {"1h": 3_600, "24h": 86_400, "7d": 604_800}


@cache
def world() -> Stream:
    stream = generate(PaymentsScenario(seed=4, cards=150, merchants=200, days=30, black_friday_day=20))
    # Whole minutes: many payments of one card at one moment, so that order within a second matters.
    return replace(stream, ts=stream.ts.astype("datetime64[m]").astype("datetime64[s]"), customer=stream.customer % 20)


def same(left: Columns, right: Columns) -> bool:
    return all(np.array_equal(left[name], right[name], equal_nan=left[name].dtype.kind == "f") for name in FEATURES)


def head(features: Columns, rows: int) -> Columns:
    return {name: values[:rows] for name, values in features.items()}


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_no_later_row_ever_changes_an_earlier_row(data: st.DataObject) -> None:
    stream = world()
    cut = data.draw(st.integers(1, len(stream) - 1), label="cut")
    seed = data.draw(st.integers(0, 2**32 - 1), label="seed")
    rng = np.random.default_rng(seed)
    full = point_in_time_features(stream)
    assert same(point_in_time_features(stream.take(slice(0, cut))), head(full, cut))

    later = len(stream) - cut
    changed: dict[str, Any] = {
        "customer": rng.integers(0, 20, later).astype(np.int32),
        "merchant": rng.integers(0, 200, later).astype(np.int32),
        "amount": np.round(rng.uniform(0.5, 1e6, later), 2),
        "category": rng.integers(0, 12, later).astype(np.int8),
        "fraud": rng.random(later) < 0.5,
        "ts": stream.ts[-1] + np.sort(rng.integers(0, 10**6, later)).astype("timedelta64[s]"),
    }
    altered_columns: dict[str, Any] = {
        name: np.concatenate([getattr(stream, name)[:cut], tail]) for name, tail in changed.items()
    }
    altered = replace(stream, **altered_columns)
    assert same(head(point_in_time_features(altered), cut), head(full, cut))


def test_windows_agree_with_a_loop_over_all_earlier_rows() -> None:
    stream = world()
    features = point_in_time_features(stream)
    second = stream.ts.astype(np.int64)
    ties = 0
    for row in range(0, len(stream), 7):
        mine = np.flatnonzero(stream.customer[:row] == stream.customer[row])
        for name, width in WINDOWS.items():
            recent = mine[second[mine] > second[row] - width]
            assert features[f"count_{name}"][row] == len(recent)
            assert features[f"sum_{name}"][row] == np.float32(round(stream.amount[recent].sum() * 100) / 100)
        known = set(stream.merchant[mine].tolist())
        assert features["new_merchant"][row] == (stream.merchant[row] not in known)
        ties += len(mine) > 0 and second[mine[-1]] == second[row]
        if len(mine):
            pause = min((second[row] - second[mine[-1]]) / 3_600, 720)
            assert features["hours_since_last"][row] == np.float32(pause)
            ratio = stream.amount[row] / stream.amount[mine].mean()
            assert features["amount_ratio"][row] == pytest.approx(ratio, rel=1e-6)
        else:
            assert features["hours_since_last"][row] == 720
            assert features["amount_ratio"][row] == 1
    assert ties > 0, "the sample must hold payments of one card in one moment"


def test_new_merchants_are_counted_over_a_day() -> None:
    stream = world()
    features = point_in_time_features(stream)
    second = stream.ts.astype(np.int64)
    for row in range(0, len(stream), 11):
        mine = np.flatnonzero(stream.customer[:row] == stream.customer[row])
        recent = mine[second[mine] > second[row] - 86_400]
        assert features["new_merchants_24h"][row] == features["new_merchant"][recent].sum()


def test_every_number_survives_the_way_through_32_bits() -> None:
    features = point_in_time_features(world())
    assert list(features) == list(FEATURES)
    for name, values in features.items():
        if values.dtype.kind == "f":
            assert values.dtype == np.float32, name
        else:
            assert np.array_equal(values.astype(np.float32).astype(np.int64), values), name


def test_hour_and_weekday_are_the_calendars() -> None:
    stream = world()
    features = point_in_time_features(stream)
    for row in range(0, len(stream), 97):
        moment = stream.ts[row].item()
        assert (features["hour"][row], features["weekday"][row]) == (moment.hour, moment.weekday())


def test_no_rows_give_no_features() -> None:
    assert all(len(values) == 0 for values in point_in_time_features(world().take(slice(0, 0))).values())


def test_a_stream_out_of_order_is_refused() -> None:
    with pytest.raises(BadInputError, match="sorted by time"):
        point_in_time_features(world().take(slice(None, None, -1)))
