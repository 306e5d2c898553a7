"""What of somebody's table a model may learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from fairlead.demo.columns import Screened, Screening, screen, separation

ROWS = 2_000
RNG = np.random.default_rng(8)
LABELS = (RNG.random(ROWS) < 0.03).astype(np.int8)
NOISE = RNG.normal(size=ROWS)


def screened(columns: dict[str, Any], *, keep_leaks: bool = False, ordered: bool = True) -> Screened:
    return screen(pd.DataFrame(columns), LABELS, Screening(keep_leaks=keep_leaks, ordered=ordered))


@pytest.mark.parametrize(
    "leak",
    [
        LABELS * 2.0,
        -LABELS.astype(float),
        np.where(LABELS == 1, 1.0, 31.7),
        np.where(LABELS == 1, RNG.integers(1, 6, ROWS), 0),
        LABELS * 10 + NOISE,
        np.where(LABELS == 1, np.nan, NOISE),
        np.where(LABELS == 1, NOISE, np.nan),
        np.where(LABELS == 1, "chargeback", "fine").astype(object),
        LABELS == 1,
    ],
    ids=["copy", "reversed", "weight", "codes", "noisy", "missing-if-1", "missing-if-0", "text", "flag"],
)
def test_a_copy_of_the_label_is_left_out_aloud_unless_asked_for(leak: NDArray[Any]) -> None:
    found = screened({"leak": leak, "noise": NOISE})
    assert list(found.features.columns) == ["noise"]
    assert any("WARNING: leak nearly equals the label" in remark for remark in found.remarks)
    kept = screened({"leak": leak, "noise": NOISE}, keep_leaks=True)
    assert list(kept.features.columns) == ["leak", "noise"]
    assert any("kept, as asked" in remark for remark in kept.remarks)


def test_a_strong_but_honest_feature_stays() -> None:
    strong = LABELS * 3.0 + NOISE
    assert separation(pd.Series(strong), LABELS) < 0.98
    assert list(screened({"strong": strong}).features.columns) == ["strong"]
    assert screened({"strong": strong}).remarks == []


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.ones(ROWS), "one value"),
        (np.array([f"id{i}" for i in range(ROWS)], dtype=object), "2000 different values"),
        (np.arange(ROWS), "only rises with time"),
        (pd.date_range("2024-01-01", periods=ROWS), "no number and no text"),
        (np.where(np.arange(ROWS) == 5, np.inf, NOISE), "infinite"),
        (np.array([{"a": i} if i % 2 else [i] for i in range(ROWS)], dtype=object), "neither numbers nor text"),
    ],
    ids=["constant", "identifier", "row-number", "date", "infinite", "nested"],
)
def test_what_cannot_be_learnt_from_is_left_out_with_the_reason(values: Any, why: str) -> None:
    found = screened({"odd": values, "noise": NOISE})
    assert list(found.features.columns) == ["noise"]
    assert len(found.remarks) == 1
    assert found.remarks[0].startswith("odd left out")
    assert why in found.remarks[0]


def test_a_rising_number_stays_where_rows_have_no_order() -> None:
    assert list(screened({"rising": np.arange(ROWS)}, ordered=False).features.columns) == ["rising"]


def test_text_gaps_become_empty_text_and_flags_with_gaps_numbers() -> None:
    text = np.array([None if i % 3 == 0 else "ab"[i % 2] for i in range(ROWS)], dtype=object)
    flag = np.array([None if i % 5 == 0 else bool(i % 2) for i in range(ROWS)], dtype=object)
    features = screened({"text": text, "flag": flag}).features
    assert set(features["text"]) == {"", "a", "b"}
    assert features["flag"].dtype == np.float64
    assert features["flag"].isna().sum() == ROWS // 5
