"""Query results on stdout: as JSON, CSV or a table, row by row as they come."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any

import pyarrow as pa

from fairlead.cli.output import say
from fairlead.store import QueryResult

TABLE_ROWS = 100
"""A table shows at most so many rows: its column widths need them all at once."""


def plain(value: Any) -> Any:
    """Return `value` as what JSON has: times as ISO 8601 with Z, bytes as hex, NaN and infinities as null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return _plain_nested(value)


def _plain_nested(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if type(value) in (list, tuple):  # not its subclasses: Arrow's interval of months, days and nanoseconds is one
        return [plain(inner) for inner in value]
    return str(value)


def write_json(result: QueryResult) -> None:
    """Write a JSON list with one object per row."""
    separator = "[\n"
    for row in _rows(result):
        record = dict(zip(result.schema.names, row, strict=True))
        sys.stdout.write(separator + json.dumps(record, ensure_ascii=False, allow_nan=False))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def write_csv(result: QueryResult) -> None:
    """Write CSV with a header line; null is the empty field."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(result.schema.names)
    for row in _rows(result):
        writer.writerow([_text(value, null="") for value in row])


def write_table(result: QueryResult) -> None:
    """Write a table of the first `TABLE_ROWS` rows; stderr says where there are more."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for field in result.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        table.add_column(field.name, justify="right" if number else "left", overflow="fold")
    rows = _rows(result)
    for row in islice(rows, TABLE_ROWS):
        table.add_row(*(_text(value, null="NULL") for value in row))
    # In a pipe there is no width to fit into, and a shortened value would be a wrong one.
    wide = None if sys.stdout.isatty() else 100_000
    Console(file=sys.stdout, width=wide, highlight=False, markup=False).print(table)
    if next(rows, None) is not None:
        say(f"only the first {TABLE_ROWS} rows are shown; --json and --csv give all")


def _rows(result: QueryResult) -> Iterator[list[Any]]:
    for batch in result.batches:
        columns = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            yield [plain(value) for value in row]


def _text(value: Any, *, null: str) -> str:
    if value is None:
        return null
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
