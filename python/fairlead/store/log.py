"""The prediction log as tables: SQL over it with DuckDB, and what it holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from fairlead.errors import BadInputError, LogError
from fairlead.store.segments import Progress, Segment, find_segments, read_batches
from fairlead.store.unify import Union, unite

BASE_SCHEMA = pa.schema(
    [
        ("id", pa.uuid()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("endpoint", pa.string()),
        ("version", pa.string()),
        ("variant", pa.string()),
        ("bundle", pa.string()),
        ("unit", pa.string()),
        ("request_id", pa.string()),
        ("row", pa.int32()),
        ("latency_us", pa.int32()),
        ("violations", pa.list_(pa.string())),
        ("decision", pa.string()),
        ("score", pa.float64()),
        ("features", pa.null()),
        ("outputs", pa.null()),
    ]
)
"""The columns of every log, also of an empty one; features and outputs take their type from the segments."""

MEMORY_LIMIT = "1GB"
"""What a query may hold in memory before it spills to temporary files: it may run beside a server."""

_LOCKED_DOWN = (
    # The statement comes from a user: it may read the log and nothing else, and cannot undo these lines.
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET TimeZone = 'UTC'",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


@dataclass(frozen=True, slots=True)
class EndpointLog:
    """What the log holds of one endpoint. `torn_bytes`: at the end of segments, belonging to no complete row."""

    endpoint: str
    segments: int
    bytes: int
    torn_bytes: int
    rows: int
    first: datetime | None
    last: datetime | None
    bundles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A result as it comes: the batches can be walked once, while the query's `with` lasts."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@dataclass(slots=True)
class _Scan:
    """A table for DuckDB: each scan of it reads the segments anew, batch by batch."""

    segments: Sequence[Segment]
    union: Union
    failure: LogError | None = field(default=None)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self.union.shown, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for segment in self.segments:
                for batch in read_batches(segment):
                    yield self.union.conform(batch)
        except LogError as error:  # DuckDB would bury it in a message with a traceback
            self.failure = error
            raise


class PredictionLog:
    """The prediction log under one folder.

    In SQL: `predictions` has the rows of all endpoints; `endpoint.NAME` those of one. Columns are those of
    `BASE_SCHEMA`, ids are text. `features` and `outputs` are structs with a child per feature and output: in
    `predictions` the union over all endpoints, null where a row's model does not have it. Time is in UTC.
    A writer may be active: a query sees the rows that were complete when it began.
    """

    def __init__(self, directory: Path, *, memory_limit: str = MEMORY_LIMIT) -> None:
        """Raise `BadInputError` where `directory` is not a folder."""
        if not directory.is_dir():
            raise BadInputError(
                f"no prediction log at {directory}", hint="give the folder that `fairlead serve --log` names"
            )
        self.directory = directory
        self._memory_limit = memory_limit

    @contextmanager
    def query(self, sql: str, *, batch_rows: int = 8_192) -> Iterator[QueryResult]:
        """Yield the result of one SELECT, whose batches have at most `batch_rows` rows.

        Raises `BadInputError` for anything but a single SELECT-like statement, and for SQL that is wrong;
        `LogError` where the log cannot be read. Neither the log nor the result is held in memory as a whole.
        """
        segments = find_segments(self.directory)
        with (
            tempfile.TemporaryDirectory(prefix="fairlead-query-") as spill,
            closing(duckdb.connect(":memory:")) as connection,
        ):
            connection.execute("SET temp_directory = ?", [spill])
            connection.execute("SET memory_limit = ?", [self._memory_limit])
            scans = _register(connection, segments)
            for setting in _LOCKED_DOWN:
                connection.execute(setting)
            _require_select(connection, sql)
            with _explained(scans):
                reader = connection.sql(sql).to_arrow_reader(batch_rows)
            yield QueryResult(reader.schema, _guarded(reader, scans))

    def read(self, sql: str) -> pa.Table:
        """Return the whole result of `query` as one table: for small results."""
        with self.query(sql) as result:
            return pa.Table.from_batches(result.batches, result.schema)

    def info(self) -> list[EndpointLog]:
        """Return what the log holds, by endpoint. Reads every segment once."""
        segments = find_segments(self.directory)
        return [_summary(name, list(group)) for name, group in groupby(segments, key=lambda s: s.endpoint)]


def _register(connection: duckdb.DuckDBPyConnection, segments: Sequence[Segment]) -> list[_Scan]:
    connection.execute("CREATE SCHEMA endpoint")
    groups = {name: list(group) for name, group in groupby(segments, key=lambda s: s.endpoint)}
    views = [("predictions", segments)]
    views += [(f"endpoint.{_quoted(name)}", group) for name, group in groups.items()]
    scans = []
    for number, (view, group) in enumerate(views):
        scan = _Scan(group, unite([BASE_SCHEMA, *(s.schema for s in group if s.schema is not None)]))
        connection.register(f"_segments_{number}", scan)
        # Endpoints that differ only by case are one name in SQL: the first keeps it, `predictions` has them all.
        connection.execute(
            f"CREATE VIEW IF NOT EXISTS {view} AS SELECT * REPLACE (CAST(id AS VARCHAR) AS id) "  # noqa: S608 - quoted
            f"FROM _segments_{number}"
        )
        scans.append(scan)
    return scans


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _require_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    allowed = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise BadInputError(f"the SQL is wrong: {error}") from error
    if len(statements) != 1 or statements[0].type not in allowed:
        kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
        raise BadInputError(
            f"one SELECT statement is wanted, this is: {kinds}",
            hint="the log is read only; SELECT, WITH, FROM, DESCRIBE, SUMMARIZE and EXPLAIN work",
        )


def _guarded(reader: pa.RecordBatchReader, scans: Sequence[_Scan]) -> Iterator[pa.RecordBatch]:
    while True:
        with _explained(scans):
            batch = next(reader, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _explained(scans: Sequence[_Scan]) -> Iterator[None]:
    """Turn what DuckDB and Arrow raise into errors that name the cause."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        for scan in scans:
            if scan.failure is not None:
                raise scan.failure from error
        if any(scan.segments for scan in scans):
            hint = "`DESCRIBE predictions` lists the columns"
        else:
            hint = "the log holds no predictions yet"
        raise BadInputError(f"the query failed: {error}", hint=hint) from error


def _summary(endpoint: str, segments: Sequence[Segment]) -> EndpointLog:
    rows = torn = 0
    first = last = None
    bundles: set[str] = set()
    for segment in segments:
        progress = Progress()
        for batch in read_batches(segment, progress):
            extent = pc.min_max(batch.column("time")).as_py()
            first = min(filter(None, (first, extent["min"])), default=None)
            last = max(filter(None, (last, extent["max"])), default=None)
            bundles |= set(batch.column("bundle").unique().to_pylist())
        rows += progress.rows
        torn += progress.torn
    return EndpointLog(
        endpoint=endpoint,
        segments=len(segments),
        bytes=sum(segment.size for segment in segments),
        torn_bytes=torn,
        rows=rows,
        first=first,
        last=last,
        bundles=tuple(sorted(bundles)),
    )
