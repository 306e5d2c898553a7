"""Files of outcomes, row by row: CSV, Parquet, JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from fairlead.errors import BadInputError

NEEDED = ("prediction_id", "label")
FIELDS = (*NEEDED, "source", "reported_at")


def read_outcomes(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what each row of a file says; other columns are passed over. Raises `BadInputError` naming the row."""
    readers = {".csv": _csv, ".parquet": _parquet, ".jsonl": _lines, ".ndjson": _lines}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadInputError(f"{path}: expected one of {', '.join(readers)}, got {path.suffix or 'no suffix'}")
    try:
        for number, row in reader(path):
            yield _outcome(f"{path}:{number}", row)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"cannot read {path}: {error}") from None


def _outcome(place: str, row: dict[str, Any]) -> dict[str, Any]:
    said = {name: row[name] for name in FIELDS if row.get(name) not in (None, "")}
    for name in NEEDED:
        if name not in said:
            raise BadInputError(f"{place}: {name}: expected a value, got none")
    when = said.get("reported_at")
    if isinstance(when, datetime):
        said["reported_at"] = when.isoformat()
    return said


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        _check(path, reader.fieldnames or ())
        for row in reader:
            yield reader.line_num, row


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise BadInputError(f"{path} is no Parquet file: {error}") from None
    with file:
        _check(path, file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(columns=[name for name in file.schema_arrow.names if name in FIELDS]):
            for row in batch.to_pylist():
                number += 1
                yield number, row


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise BadInputError(f"{path}:{number}: no JSON: {error.msg}") from None
            if not isinstance(row, dict):
                raise BadInputError(f"{path}:{number}: expected an object, got {type(row).__name__}")
            yield number, row


def _check(path: Path, columns: Any) -> None:
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise BadInputError(f"{path}: no column {', '.join(missing)}; there are {', '.join(columns) or 'none'}")
