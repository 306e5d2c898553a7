"""Tables read from files: the same columns from each format, and clear errors for what is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

from fairlead.errors import BadInputError
from fairlead.store.columns import Categories, Frame, Numbers, Unread
from fairlead.store.tables import column_names, read_frame

TABLE = pa.table(
    {
        "number": [1.5, None, float("inf")],
        "whole": pa.array([1, 2, None], pa.int32()),
        "text": ["a", None, "b"],
        "flag": [True, None, False],
    }
)


def write_stream(table: pa.Table, path: str) -> None:
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


WRITERS = {
    "t.parquet": parquet.write_table,
    "t.csv": csv.write_csv,
    "t.arrow": feather.write_feather,
    "s.arrow": write_stream,
}


@pytest.mark.parametrize("name", WRITERS)
def test_each_format_gives_the_same_columns(tmp_path: Path, name: str) -> None:
    WRITERS[name](TABLE, str(tmp_path / name))
    frame = read_frame(tmp_path / name)
    assert (frame.name, frame.rows) == (name, 3)
    assert column_names(tmp_path / name) == list(frame.columns) == TABLE.column_names
    number, whole, text, flag = frame.columns.values()
    assert isinstance(number, Numbers)
    assert isinstance(whole, Numbers)
    assert isinstance(text, Categories)
    assert isinstance(flag, Categories)
    assert np.array_equal(number.values, [1.5, np.nan, np.inf], equal_nan=True)
    assert np.array_equal(whole.values, [1, 2, np.nan], equal_nan=True)
    assert [None if code < 0 else text.labels[code] for code in text.codes] == ["a", None, "b"]
    assert [None if code < 0 else flag.labels[code] for code in flag.codes] == ["true", None, "false"]
    assert list(read_frame(tmp_path / name, ["text", "absent"]).columns) == ["text"]


def read(tmp_path: Path, **columns: pa.Array) -> Frame:
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    return read_frame(tmp_path / "t.parquet")


def test_types_that_are_numbers_or_text_are_read_as_such(tmp_path: Path) -> None:
    frame = read(
        tmp_path,
        decimal=pa.array(["1.25"]).cast(pa.decimal128(5, 2)),
        big=pa.array([2**63], pa.uint64()),
        small=pa.array([np.float16(0.5)], pa.float16()),
        large=pa.array(["x"], pa.large_string()),
        coded=pa.array(["x"]).dictionary_encode(),
    )
    values = [one.values[0] for one in frame.columns.values() if isinstance(one, Numbers)]
    assert values == [1.25, 2.0**63, 0.5]
    assert [one.labels for one in frame.columns.values() if isinstance(one, Categories)] == [("x",), ("x",)]


def test_what_is_neither_is_named_by_its_type(tmp_path: Path) -> None:
    frame = read(tmp_path, time=pa.array([0, None], pa.timestamp("us")), rows=pa.array([[1], [2]]), void=pa.nulls(2))
    found = {name: one for name, one in frame.columns.items() if isinstance(one, Unread)}
    assert {name: (one.type, one.missing) for name, one in found.items()} == {
        "time": ("timestamp[us]", 1),
        "rows": ("list<element: int64>", 0),
        "void": ("null", 2),
    }
    assert found["void"].untyped


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.csv", None, "no data file"),
        ("t.txt", b"a", "a table is a file .parquet"),
        ("t.csv", b"", "t.csv is empty"),
        ("t.csv", b"a,b\n", "t.csv has no rows"),
        ("t.csv", b"a,b\n1\n", "t.csv cannot be read"),
        ("t.csv", b"a,a\n1,2\n", "column 'a' is there 2 times"),
        ("t.parquet", b"PAR1 no more", "t.parquet cannot be read"),
        ("t.arrow", b"nothing", "t.arrow cannot be read"),
    ],
)
def test_what_is_no_table_is_a_clear_error(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=words):
        read_frame(tmp_path / name)
