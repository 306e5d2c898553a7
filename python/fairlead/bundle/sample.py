"""The sample: columns of one type each with a mask of what is missing, whatever they were read from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import BadInputError
from fairlead.schema.signature import FeatureType

Array = NDArray[Any]
SAMPLE_SUFFIXES = (".parquet", ".pq", ".csv")


@dataclass(frozen=True, slots=True)
class Column:
    """One named column: `values` is float64, int64, bool or object (of str), by `type`.

    Where `missing` is set, `values` holds NaN, 0, False or "".
    """

    name: str
    type: FeatureType
    values: Array
    missing: NDArray[np.bool_]

    def take(self, rows: Array) -> Column:
        """Return the column at the given row numbers."""
        return replace(self, values=self.values[rows], missing=self.missing[rows])

    def present(self) -> Array:
        """Return the values that are not missing."""
        return self.values[~self.missing]

    def as_type(self, wanted: FeatureType) -> Column:
        """Return the column read as another type; raises `BadInputError` where that would lose something."""
        if wanted is self.type:
            return self
        if wanted is FeatureType.STRING:
            texts = np.array([scalar_text(v) for v in self.values.tolist()], dtype=object)
            texts[self.missing] = ""
            return replace(self, type=wanted, values=texts)
        if self.type is FeatureType.STRING:
            raise BadInputError(f"column {self.name!r} holds strings: it cannot be read as {wanted.value}")
        return self._as_number(wanted)

    def _as_number(self, wanted: FeatureType) -> Column:
        present = self.present().astype(np.float64)
        exact = {
            FeatureType.FLOAT: True,
            FeatureType.INTEGER: bool(np.all(present == np.floor(present))),
            FeatureType.BOOLEAN: bool(np.all((present == 0) | (present == 1))),
        }[wanted]
        if not exact:
            raise BadInputError(f"column {self.name!r} holds values that are not {wanted.value}")
        if wanted is FeatureType.FLOAT:
            values = self.values.astype(np.float64)
            values[self.missing] = np.nan
        else:
            values = np.where(self.missing, 0, self.values).astype(np.int64 if wanted is FeatureType.INTEGER else bool)
        return replace(self, type=wanted, values=values)


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of training or recent data. `tensors` holds list columns, `unusable` those of other types."""

    rows: int
    columns: Mapping[str, Column]
    tensors: Mapping[str, Array]
    unusable: Mapping[str, str]
    file: str | None
    sha256: str
    path: Path | None = None

    def column(self, name: str, role: str) -> Column:
        """Return the column `name`; raises `BadInputError` naming `role` and what there is instead."""
        if name in self.columns:
            return self.columns[name]
        if name in self.unusable:
            raise BadInputError(f"{role} {name!r} is of type {self.unusable[name]}, which is not a number or a string")
        known = ", ".join(self.columns)
        raise BadInputError(f"{role} {name!r} is not in the sample", hint=f"its columns are: {known}")


def scalar_text(value: object) -> str:
    """Return the text that stands for a cell where it is used as a category."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def evenly_spaced(rows: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` row numbers spread evenly over `rows`, all of them where they are few."""
    if rows <= most:
        return np.arange(rows, dtype=np.int64)
    return np.unique(np.linspace(0, rows - 1, most).astype(np.int64))


def read_sample(data: object) -> Sample:
    """Read the sample from a `.parquet` or `.csv` file, or take a pandas frame, an Arrow table or a dict of columns.

    Raises `BadInputError` naming the file or the column where it cannot be used.
    """
    if isinstance(data, str | Path):
        path = Path(data)
        table = _read_file(path)
        return _from_table(table, path)
    return _from_table(_as_table(data), None)


def _read_file(path: Path) -> Any:
    import pyarrow as pa

    if not path.is_file():
        raise BadInputError(f"no data file {path}")
    if path.suffix.lower() not in SAMPLE_SUFFIXES:
        raise BadInputError(f"{path.name}: a sample is a .parquet or a .csv file")
    try:
        return _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path.name} cannot be read: {first_line(error)}") from error


def _read_parquet(path: Path) -> Any:
    import pyarrow.parquet as pq

    # ParquetFile, not read_table: the latter reads partition columns out of folder names such as `day=1`.
    with pq.ParquetFile(path) as file:
        return file.read()


def _read_csv(path: Path) -> Any:
    from pyarrow import csv

    return csv.read_csv(path, convert_options=csv.ConvertOptions(strings_can_be_null=True))


def first_line(error: BaseException) -> str:
    """Return an exception's first line, or its type's name where it has no words."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _as_table(data: object) -> Any:
    import pyarrow as pa

    try:
        if isinstance(data, pa.Table):
            return data
        if hasattr(data, "columns") and hasattr(data, "dtypes"):
            return pa.Table.from_pandas(data, preserve_index=False)
        if isinstance(data, Mapping):
            return pa.table({str(name): _as_arrow(values) for name, values in data.items()})
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise BadInputError(f"the data cannot be read as a table: {first_line(error)}") from error
    raise BadInputError(
        f"data of type {type(data).__name__} is not a sample",
        hint="give a .parquet or .csv file, a pandas DataFrame, an Arrow table or a dict of columns",
    )


def _as_arrow(values: Any) -> Any:
    import pyarrow as pa

    if isinstance(values, np.ndarray) and values.ndim > 1:
        flat = pa.array(np.ascontiguousarray(values).reshape(len(values), -1).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))
    # from_pandas: NaN in a float array means missing, as everywhere else here.
    return pa.array(values, from_pandas=True)


def _from_table(table: Any, path: Path | None) -> Sample:
    names = _column_names(table)
    if table.num_rows == 0:
        raise BadInputError(f"the sample {path.name if path else ''} has no rows".replace("  ", " "))
    columns: dict[str, Column] = {}
    tensors: dict[str, Array] = {}
    unusable: dict[str, str] = {}
    for index, name in enumerate(names):
        found = _column(name, table.column(index))
        if isinstance(found, Column):
            columns[name] = found
        elif isinstance(found, np.ndarray):
            tensors[name] = found
        else:
            unusable[name] = found
    digest = file_sha256(path) if path else _content_sha256(columns.values(), tensors)
    return Sample(table.num_rows, columns, tensors, unusable, path.name if path else None, digest, path)


def _column_names(table: Any) -> list[str]:
    try:
        names: list[str] = table.column_names
    except UnicodeDecodeError as error:
        raise BadInputError(f"a column name of the sample is not UTF-8: {error.object!r}") from error
    for name in names:
        if not name:
            raise BadInputError("a column of the sample has no name")
        if names.count(name) > 1:
            raise BadInputError(f"column {name!r} is in the sample {names.count(name)} times")
        if any(0xD800 <= ord(char) <= 0xDFFF for char in name):
            raise BadInputError(f"column name {name!r} is not UTF-8")
    return names


def _column(name: str, chunked: Any) -> Column | Array | str:
    """Return the column, a tensor for a list column, or the Arrow type's name for what cannot be a feature."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = chunked.type
    if pa.types.is_dictionary(kind):
        chunked = chunked.cast(kind.value_type)
        kind = chunked.type
    if _is_list(kind):
        return _tensor(name, chunked)
    missing = np.asarray(chunked.is_null(nan_is_null=pa.types.is_floating(kind)).to_numpy())
    if pa.types.is_boolean(kind):
        return Column(name, FeatureType.BOOLEAN, _filled(chunked, value=False), missing)
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return Column(name, FeatureType.INTEGER, _filled(chunked, value=0).astype(np.int64), missing)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        values = _filled(pc.cast(chunked, pa.float64(), safe=False), value=np.nan)
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values))[0])
            raise BadInputError(f"column {name!r} holds an infinite value in row {row}")
        return Column(name, FeatureType.FLOAT, values, missing)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        return Column(name, FeatureType.STRING, _strings(name, chunked), missing)
    return str(kind)


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _filled(chunked: Any, *, value: object) -> Array:
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(chunked, value).to_numpy())


def _strings(name: str, chunked: Any) -> Array:
    import pyarrow.compute as pc

    try:
        return np.array(pc.fill_null(chunked, "").to_pylist(), dtype=object)
    except UnicodeDecodeError as error:
        raise BadInputError(f"column {name!r} holds text that is not UTF-8: {error.object!r}") from error


def _tensor(name: str, chunked: Any) -> Array | str:
    import pyarrow as pa

    lists = chunked.combine_chunks()
    if lists.null_count or not (
        pa.types.is_integer(lists.type.value_type) or pa.types.is_floating(lists.type.value_type)
    ):
        return str(chunked.type)
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    if len(flat) % len(lists) or (np.diff([len(item) for item in lists]) != 0).any():
        raise BadInputError(f"column {name!r}: its lists are not all of one length")
    return np.asarray(flat).reshape(len(lists), -1)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content_sha256(columns: Iterable[Column], tensors: Mapping[str, Array]) -> str:
    digest = hashlib.sha256()
    for column in columns:
        digest.update(f"{column.name}\0{column.type.value}\0".encode())
        if column.type is FeatureType.STRING:
            for text in column.values:
                digest.update(f"{len(text)}:{text}".encode())
        else:
            digest.update(np.ascontiguousarray(column.values).tobytes())
        digest.update(column.missing.tobytes())
    for name, values in tensors.items():
        digest.update(f"{name}\0{values.dtype}\0{values.shape}".encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
