"""Reading the sample: types, missing values, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.bundle.sample import evenly_spaced, read_sample
from fairlead.errors import BadInputError
from fairlead.schema.signature import FeatureType


def test_types_and_missing_values_of_a_parquet_file(tmp_path: Path) -> None:
    table = pa.table(
        {
            "f": pa.array([1.5, None, float("nan")], pa.float32()),
            "i": pa.array([1, None, 3], pa.int16()),
            "b": pa.array([True, None, False]),
            "s": pa.array(["a", None, ""]).dictionary_encode(),
            "t": pa.array([1, 2, 3], pa.timestamp("us")),
            "v": pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        }
    )
    pq.write_table(table, tmp_path / "d.parquet")
    sample = read_sample(tmp_path / "d.parquet")
    assert {name: column.type for name, column in sample.columns.items()} == {
        "f": FeatureType.FLOAT,
        "i": FeatureType.INTEGER,
        "b": FeatureType.BOOLEAN,
        "s": FeatureType.STRING,
    }
    assert sample.columns["f"].missing.tolist() == [False, True, True]
    assert sample.columns["i"].missing.tolist() == [False, True, False]
    assert sample.columns["i"].values.tolist() == [1, 0, 3]
    assert sample.columns["s"].values.tolist() == ["a", "", ""]
    assert sample.columns["s"].missing.tolist() == [False, True, False]
    assert sample.tensors["v"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert sample.unusable == {"t": "timestamp[us]"}
    with pytest.raises(BadInputError, match=r"feature 't' is of type timestamp\[us\]"):
        sample.column("t", "feature")


def test_csv_cells_without_text_are_missing(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,s\n1,x\n,\n")
    sample = read_sample(tmp_path / "d.csv")
    assert sample.columns["a"].missing.tolist() == [False, True]
    assert sample.columns["s"].missing.tolist() == [False, True]


def test_a_pandas_frame_an_arrow_table_and_a_dict_are_the_same_sample() -> None:
    import pandas as pd

    cells = {"a": [1.0, np.nan], "s": ["x", "y"]}
    frame = pd.DataFrame(cells)
    forms = [frame, pa.Table.from_pandas(frame), {name: np.array(v) for name, v in cells.items()}]
    assert len({read_sample(form).sha256 for form in forms}) == 1


def test_the_digest_of_a_table_in_memory_follows_its_content() -> None:
    first = read_sample({"a": np.array([1.0, 2.0])}).sha256
    assert first == read_sample({"a": np.array([1.0, 2.0])}).sha256
    others = [{"a": np.array([1.0, 3.0])}, {"b": np.array([1.0, 2.0])}, {"a": np.array(["1", "2"])}]
    assert first not in {read_sample(other).sha256 for other in others}


def test_strings_that_join_alike_have_other_digests() -> None:
    one = read_sample({"a": np.array(["ab", "c"], dtype=object)})
    other = read_sample({"a": np.array(["a", "bc"], dtype=object)})
    assert one.sha256 != other.sha256


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.parquet", b"PAR1 not parquet", "d.parquet cannot be read"),
        ("d.csv", b"a,b\n1\n", "d.csv cannot be read"),
        ("d.csv", b"a,b\n", "has no rows"),
        ("d.csv", b"a,a\n1,2\n", "column 'a' is in the sample 2 times"),
        ("d.csv", b"a,\n1,2\n", "has no name"),
        ("d.csv", b"\xff\xfe,b\n1,2\n", "not UTF-8"),
        ("d.csv", b"a,b\ninf,2\n", "column 'a' holds an infinite value in row 0"),
        ("d.xlsx", b"", "a sample is a .parquet or a .csv file"),
    ],
)
def test_what_is_no_sample_is_refused_by_name(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        read_sample(write(tmp_path / name, content))


def test_a_file_that_is_not_there_and_an_object_that_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no data file"):
        read_sample(tmp_path / "none.parquet")
    with pytest.raises(BadInputError, match="data of type int is not a sample"):
        read_sample(5)


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(BadInputError, match="column 'v': its lists are not all of one length"):
        read_sample(pa.table({"v": pa.array([[1.0, 2.0], [3.0], [4.0, 5.0, 6.0]])}))


def test_reading_as_another_type_keeps_the_values_or_is_refused() -> None:
    columns = read_sample({"zip": np.array([8001, 9000]), "half": np.array([0.5, 1.0])}).columns
    assert columns["zip"].as_type(FeatureType.STRING).values.tolist() == ["8001", "9000"]
    assert columns["zip"].as_type(FeatureType.FLOAT).values.dtype == np.float64
    with pytest.raises(BadInputError, match="column 'half' holds values that are not integer"):
        columns["half"].as_type(FeatureType.INTEGER)
    with pytest.raises(BadInputError, match="column 'zip' holds strings"):
        columns["zip"].as_type(FeatureType.STRING).as_type(FeatureType.FLOAT)


@pytest.mark.parametrize(("rows", "most"), [(5, 10), (10, 10), (11, 10), (1_000_003, 10_000)])
def test_evenly_spaced_rows_are_few_distinct_and_reach_both_ends(rows: int, most: int) -> None:
    found = evenly_spaced(rows, most)
    assert len(found) == min(rows, most) == len(set(found.tolist()))
    assert found[0] == 0
    assert found[-1] == rows - 1
