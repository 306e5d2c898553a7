"""SQL over the prediction log: what users see, and what SQL may not do."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fairlead.errors import BadInputError, LogError
from fairlead.store import BASE_SCHEMA, PredictionLog, segments
from fairlead.store import log as log_module


def ask(log: Any, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = PredictionLog(log.directory).read(sql).to_pylist()
    return rows


@pytest.fixture
def two_endpoints(log: Any) -> Any:
    """`fraud` with 4 rows (amount, country) and `credit-risk` with 2 (Amount as text, income)."""
    log.segment(log.batch(3))
    log.segment(log.batch(1), closed=False)
    fraud = log.schema
    log.schema = fraud.set(
        log.schema.get_field_index("features"),
        pa.field("features", pa.struct([("amount", pa.string()), ("income", pa.int64())])),
    )
    risk = log.batch(2, "credit-risk", features={"amount": "much", "income": 7})
    log.segment(risk, endpoint="credit-risk")
    log.schema = fraud
    return log


def test_rows_of_all_segments_and_endpoints_are_one_table(two_endpoints: Any) -> None:
    got = ask(two_endpoints, "SELECT endpoint, count(*)::INT AS n FROM predictions GROUP BY ALL ORDER BY ALL")
    assert got == [{"endpoint": "credit-risk", "n": 2}, {"endpoint": "fraud", "n": 4}]


def test_features_of_all_endpoints_are_united_by_name(two_endpoints: Any) -> None:
    got = ask(two_endpoints, "SELECT features.amount, features.country, features.income FROM predictions ORDER BY id")
    assert got[3] == {"amount": "3", "country": "DE", "income": None}
    assert got[4] == {"amount": "much", "country": None, "income": 7}


def test_an_endpoint_has_a_table_with_its_own_features_and_types(two_endpoints: Any) -> None:
    assert ask(two_endpoints, "SELECT sum(features.amount) AS total FROM endpoint.fraud") == [{"total": 6.0}]
    assert ask(two_endpoints, 'SELECT sum(features.income)::INT AS total FROM endpoint."credit-risk"') == [
        {"total": 14}
    ]
    with pytest.raises(BadInputError, match="country"):
        ask(two_endpoints, 'SELECT features.country FROM endpoint."credit-risk"')


def test_ids_are_text_and_times_are_utc(log: Any) -> None:
    log.segment(log.batch(1))
    [row] = ask(log, "SELECT id, typeof(id) AS kind, time, hour(time) AS hour FROM predictions")
    assert row["id"] == str(uuid.UUID(int=0))
    assert row["kind"] == "VARCHAR"
    assert row["time"].utcoffset() == timedelta(0)
    assert row["hour"] == 12


def test_every_column_comes_back_as_it_was_written(log: Any) -> None:
    log.segment(log.batch(1, violations=["amount: missing"], unit=None, request_id="r-1", decision=None, score=None))
    [row] = ask(log, "SELECT * FROM predictions")
    assert list(row) == BASE_SCHEMA.names
    assert row["violations"] == ["amount: missing"]
    assert (row["unit"], row["request_id"], row["decision"], row["score"]) == (None, "r-1", None, None)
    assert row["features"] == {"amount": 0.0, "country": "DE"}
    assert row["outputs"] == {"label": 0, "probabilities": [1.0, 0.0]}


def test_a_log_without_rows_has_all_columns(log: Any) -> None:
    assert ask(log, "SELECT count(*)::INT AS n, max(score) AS top FROM predictions") == [{"n": 0, "top": None}]
    assert ask(log, "SELECT features.amount, outputs.label FROM predictions") == []
    with pytest.raises(BadInputError) as caught:
        ask(log, "SELECT nothing FROM predictions")
    assert caught.value.hint == "the log holds no predictions yet"


def test_a_table_can_be_read_twice_in_one_query(log: Any) -> None:
    log.segment(log.batch(5))
    sql = "SELECT count(*)::INT AS n FROM predictions a JOIN predictions b USING (id)"
    assert ask(log, sql) == [{"n": 5}]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (a INT)",
        "INSERT INTO predictions VALUES (1)",
        "DROP VIEW predictions",
        "COPY predictions TO 'stolen.csv'",
        "EXPORT DATABASE 'stolen'",
        "ATTACH 'other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "SELECT 1; DROP VIEW predictions",
        "",
        "-- nothing",
    ],
)
def test_only_one_select_is_run(log: Any, sql: str) -> None:
    with pytest.raises(BadInputError, match="one SELECT statement is wanted"):
        ask(log, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM '{file}'",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_blob('{file}')",
        "SELECT * FROM read_parquet('{file}')",
        "SELECT * FROM glob('{file}')",
        "SELECT * FROM query('SELECT * FROM read_text(''{file}'')')",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
        "SELECT getenv('HOME')",
        "SELECT * FROM secret_table",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}.out'",
    ],
)
def test_sql_reaches_no_file_network_environment_or_python_variable(log: Any, tmp_path: Path, sql: str) -> None:
    secret_table = pa.table({"secret": [1]})
    assert secret_table.num_rows == 1
    file = tmp_path / "secret.csv"
    file.write_text("secret\n1\n")
    with pytest.raises(BadInputError):
        ask(log, sql.format(file=file))
    assert not Path(f"{file}.out").exists()


@pytest.mark.parametrize(
    "sql",
    [
        "WITH p AS (FROM predictions) SELECT * FROM p",
        "DESCRIBE predictions",
        "SUMMARIZE predictions",
        "EXPLAIN SELECT 1",
    ],
)
def test_statements_that_only_look_are_allowed(log: Any, sql: str) -> None:
    log.segment(log.batch(2))
    assert ask(log, sql)


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT nothing FROM predictions", "SELECT 'x'::INT FROM predictions"])
def test_wrong_sql_is_bad_input_with_a_hint(log: Any, sql: str) -> None:
    log.segment(log.batch(1))
    with pytest.raises(BadInputError) as caught:
        ask(log, sql)
    assert "Traceback" not in caught.value.message


def test_damage_found_by_a_query_is_a_log_error_that_names_the_file(log: Any) -> None:
    path = log.segment(log.batch(5), log.batch(5))
    content = path.read_bytes()
    middle = content.rindex(b"\xff\xff\xff\xff", 0, len(content) - 8)
    path.write_bytes(content[: middle + 8] + b"\xee" * 32 + content[middle + 40 :])
    with pytest.raises(LogError, match=path.name):
        ask(log, "SELECT count(*) FROM predictions")


def test_a_query_does_not_hold_the_log_in_memory(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(50):
        log.segment(log.batch(2))
    opened: list[int] = []
    read = segments.read_batches

    def counting(segment: Any) -> Iterator[pa.RecordBatch]:
        opened.append(1)
        return read(segment)

    monkeypatch.setattr(log_module, "read_batches", counting)
    with PredictionLog(log.directory).query("SELECT * FROM predictions LIMIT 1", batch_rows=1) as result:
        assert next(result.batches).num_rows == 1
    assert 0 < len(opened) < 50


def test_a_query_larger_than_its_memory_spills_and_leaves_no_file(log: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    log.segment(log.batch(10))
    sql = (
        "SELECT count(*)::INT AS n FROM (SELECT DISTINCT id, r, hash(r)::VARCHAR FROM predictions, range(100000) t(r))"
    )
    assert PredictionLog(log.directory, memory_limit="60MB").read(sql).to_pylist() == [{"n": 1_000_000}]
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_reading_beside_an_active_writer_never_fails_and_sees_whole_batches(log: Any) -> None:
    """A writer grows, closes, renames and removes segments, 30 while each query runs."""
    log.segment(log.batch(1))
    content = log.segment(log.batch(3), endpoint="other").read_bytes()
    kept: deque[Path] = deque()

    def write() -> None:
        for _ in range(30):
            path = log.raw(b"", closed=False)
            with path.open("ab", buffering=0) as file:
                for start in range(0, len(content), 1_000):
                    file.write(content[start : start + 1_000])
            kept.append(path.rename(path.with_name(path.name.removesuffix(".open"))))
            if len(kept) > 60:
                kept.popleft().unlink()

    counts = []
    for _ in range(40):
        writer = threading.Thread(target=write)
        writer.start()
        counts += [row["n"] for row in ask(log, "SELECT count(*)::INT AS n FROM endpoint.fraud")]
        writer.join()
    assert {count % 3 for count in counts} == {1}  # batches of 3 rows, and the lone first row
    assert min(counts[2:]) >= 1 + 3 * 30  # at least those that no retention reached


def test_info_counts_rows_bytes_and_torn_bytes_by_endpoint(two_endpoints: Any) -> None:
    torn = two_endpoints.raw(two_endpoints.segment(two_endpoints.batch(2)).read_bytes()[:-20], closed=False)
    risk, fraud = PredictionLog(two_endpoints.directory).info()
    assert (risk.endpoint, risk.segments, risk.rows, risk.torn_bytes) == ("credit-risk", 1, 2, 0)
    assert (fraud.segments, fraud.rows) == (4, 6)
    assert 0 < fraud.torn_bytes < torn.stat().st_size
    assert fraud.bytes == sum(path.stat().st_size for path in (two_endpoints.directory / "fraud").iterdir())
    assert fraud.first is not None
    assert fraud.last is not None
    assert fraud.last - fraud.first == timedelta(seconds=7)
    assert fraud.bundles == ("ab" * 32,)


def test_a_missing_folder_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no prediction log at"):
        PredictionLog(tmp_path / "nowhere")
