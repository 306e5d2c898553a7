"""Reads Parquet, CSV and Arrow files into a `Frame`, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.errors import BadInputError
from fairlead.store.columns import Categories, Column, Frame, Numbers, Unread

SUFFIXES = (".parquet", ".pq", ".csv", ".arrow", ".feather", ".arrows", ".ipc")


def read_frame(path: Path, columns: Sequence[str] | None = None) -> Frame:
    """Read the file, or those of its `columns` that it has.

    Raises `BadInputError` where it is missing, of another format, damaged, without rows, or has a name twice.
    """
    with _readable(path):
        table = _READERS.get(path.suffix.lower(), _read_arrow)(path, columns)
        if table.num_rows == 0:
            raise BadInputError(f"{path.name} has no rows")
        return frame_of(table, path.name)


def column_names(path: Path) -> list[str]:
    """Return the names of the file's columns; raises as `read_frame` does."""
    import pyarrow.parquet as pq

    with _readable(path):
        if path.suffix.lower() in {".parquet", ".pq"}:
            return list(pq.read_schema(path).names)
        return list(_READERS.get(path.suffix.lower(), _read_arrow)(path, None).column_names)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what reading a file raises into `BadInputError`."""
    import pyarrow as pa

    if not path.is_file():
        raise BadInputError(f"no data file {path}")
    if path.suffix.lower() not in SUFFIXES:
        raise BadInputError(f"{path.name}: a table is a file {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInputError(f"{path.name} cannot be read: {words[0]}") from error


def frame_of(table: Any, name: str) -> Frame:
    """Take over an Arrow table; raises `BadInputError` where two columns have one name."""
    names: list[str] = table.column_names
    for twice in names:
        if names.count(twice) > 1:
            raise BadInputError(f"{name}: column {twice!r} is there {names.count(twice)} times")
    columns = {one: _column(one, table.column(at)) for at, one in enumerate(names)}
    return Frame(name, int(table.num_rows), columns)


def _read_parquet(path: Path, columns: Sequence[str] | None) -> Any:
    import pyarrow.parquet as pq

    # ParquetFile, not read_table: the latter reads partition columns out of folder names such as `day=1`.
    with pq.ParquetFile(path) as file:
        return file.read(columns=_wanted(file.schema_arrow.names, columns))


def _read_csv(path: Path, columns: Sequence[str] | None) -> Any:
    from pyarrow import csv

    if path.stat().st_size == 0:
        raise BadInputError(f"{path.name} is empty")
    table = csv.read_csv(path, convert_options=csv.ConvertOptions(strings_can_be_null=True))
    return table if columns is None else table.select(_wanted(table.column_names, columns))


def _read_arrow(path: Path, columns: Sequence[str] | None) -> Any:
    """An Arrow file, or a stream, as the prediction log has them."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        try:
            table = pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            table = pa.ipc.open_stream(source).read_all()
    return table if columns is None else table.select(_wanted(table.column_names, columns))


_READERS = {".parquet": _read_parquet, ".pq": _read_parquet, ".csv": _read_csv}


def _wanted(there: Iterable[str], columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else [name for name in there if name in columns]


def _column(name: str, chunked: Any) -> Column:
    import pyarrow as pa

    kind = chunked.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    text = str(kind)
    if pa.types.is_boolean(kind):
        return _booleans(name, chunked)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Numbers(name, text, _numbers(chunked))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or text == "string_view":
        return _texts(name, text, chunked)
    return Unread(name, text, int(chunked.null_count))


def _numbers(chunked: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if chunked.type != pa.float64():
        if pa.types.is_float16(chunked.type):
            chunked = pc.cast(chunked, pa.float32())
        chunked = pc.cast(chunked, pa.float64(), safe=False)
    # Arrow turns null into NaN; without nulls and chunks nothing is copied.
    return np.asarray(chunked.to_numpy(), dtype=np.float64)


def _booleans(name: str, chunked: Any) -> Categories:
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = pc.fill_null(pc.cast(chunked, pa.int32()), -1)
    return Categories(name, "bool", np.asarray(codes.to_numpy(), dtype=np.int32), ("false", "true"))


def _texts(name: str, text: str, chunked: Any) -> Categories:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(chunked.type) or text == "string_view":
        chunked = pc.cast(chunked, pa.large_string())  # a given dictionary may hold a label twice, or null
    encoded = chunked.dictionary_encode().unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    codes = pc.fill_null(encoded.indices, -1)
    return Categories(name, text, np.asarray(codes.to_numpy(), dtype=np.int32), tuple(encoded.dictionary.to_pylist()))
