"""Somebody's own file becomes material for the demo, or a clear refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairlead.demo.material import Material
from fairlead.demo.options import DataFile, DemoOptions
from fairlead.demo.table import table_material
from fairlead.errors import BadInputError

ROWS = 1_000


def frame() -> Any:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "when": pd.date_range("2024-03-01", periods=ROWS, freq="min"),
            "x": rng.normal(size=ROWS),
            "kind": rng.choice(["a", "b"], ROWS),
            "w": rng.uniform(1, 3, ROWS),
            "y": (rng.random(ROWS) < 0.2).astype(int),
        }
    )


def material(folder: Path, table: Any, *, name: str = "my file (v2).parquet", **how: Any) -> Material:
    path = folder / name
    table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)
    return table_material(DemoOptions(file=DataFile(path=path, label=how.pop("label", "y"), **how)))


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_rows_are_split_in_order_of_the_time_column(tmp_path: Path, name: str) -> None:
    shuffled = frame().sample(frac=1, random_state=3)
    found = material(tmp_path, shuffled, name=name, weight="w")
    assert list(found.features.columns) == ["x", "kind"]
    assert np.array_equal(found.features["x"].to_numpy(), frame()["x"].to_numpy())
    assert np.array_equal(found.labels, frame()["y"].to_numpy())
    assert np.allclose(found.weights, frame()["w"].to_numpy())
    assert any("split in order of when" in remark for remark in found.remarks)


def test_training_validation_and_live_rows_follow_each_other(tmp_path: Path) -> None:
    found = material(tmp_path, frame())
    together = np.concatenate([found.train, found.validation, *(stretch.rows for stretch in found.live)])
    assert np.array_equal(together, np.arange(ROWS))
    assert (len(found.train), len(found.validation)) == (600, 150)


def test_a_number_that_is_called_time_and_rises_orders_the_rows_too(tmp_path: Path) -> None:
    table = frame().drop(columns="when").assign(tx_time=np.arange(ROWS) // 2)
    found = material(tmp_path, table)
    assert "tx_time" not in found.features.columns
    assert any("split in order of tx_time" in remark for remark in found.remarks)


def test_without_time_the_split_is_at_random_and_says_so(tmp_path: Path) -> None:
    table = frame().drop(columns="when")
    found = material(tmp_path, table)
    assert any("split at random" in remark for remark in found.remarks)
    assert not np.array_equal(found.features["x"].to_numpy(), table["x"].to_numpy())
    assert sorted(found.features["x"]) == sorted(table["x"])
    pairs = dict(zip(table["x"], table["y"], strict=True))
    assert all(pairs[x] == y for x, y in zip(found.features["x"], found.labels, strict=True))


@pytest.mark.parametrize(
    ("labels", "positive"),
    [([0, 1], 1), ([1, 2], 2), ([-1.0, 1.0], 1.0), ([False, True], True), (["legit", "fraud"], "fraud")],
)
def test_the_positive_class_is_the_larger_number_or_the_rarer_text(
    tmp_path: Path, labels: list[Any], positive: object
) -> None:
    rare = frame()["y"].to_numpy()
    table = frame().assign(y=[labels[value] for value in rare])
    found = material(tmp_path, table)
    assert np.array_equal(found.labels, rare)
    assert any(f"y = {positive} is the positive class" in remark for remark in found.remarks)


def test_rows_without_a_label_are_not_used(tmp_path: Path) -> None:
    table = frame().assign(y=np.where(np.arange(ROWS) % 4 == 0, np.nan, frame()["y"]))
    assert len(material(tmp_path, table).labels) == ROWS * 3 // 4


def test_the_endpoint_is_called_after_the_file(tmp_path: Path) -> None:
    assert material(tmp_path, frame(), name="My Größe (v2).parquet").endpoint == "my-gr--e--v2"


def test_dropped_columns_and_weights_are_no_features(tmp_path: Path) -> None:
    found = material(tmp_path, frame(), weight="w", drop=("kind",))
    assert list(found.features.columns) == ["x"]


def test_few_positives_are_a_warning(tmp_path: Path) -> None:
    table = frame().assign(y=(np.arange(ROWS) % 100 == 0).astype(int))
    assert any("only 6 positive training rows" in remark for remark in material(tmp_path, table).remarks)


@pytest.mark.parametrize(
    ("change", "how", "message"),
    [
        (lambda t: t, {"label": "nope"}, "no column 'nope'"),
        (lambda t: t, {"drop": ("gone",)}, "no column 'gone'"),
        (lambda t: t, {"label": "x"}, "1000 different values"),
        (lambda t: t.assign(y=1), {}, "1 different values"),
        (lambda t: t.head(50), {}, "50 rows"),
        (lambda t: t.assign(w=0.0), {"weight": "w"}, "positive number"),
        (lambda t: t.assign(w="a"), {"weight": "w"}, "positive number"),
        (lambda t: t[["when", "y"]], {}, "no column is left"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    tmp_path: Path, change: Callable[[Any], Any], how: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        material(tmp_path, change(frame()), **how)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.parquet", b"not parquet", "cannot be read"),
        ("t.csv", b"a,b\n1\n2,3,4\n", "cannot be read"),
        ("t.txt", b"", "takes a .parquet or a .csv"),
        ("t.json", None, "no data file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=message):
        table_material(DemoOptions(file=DataFile(path=tmp_path / name, label="y")))
