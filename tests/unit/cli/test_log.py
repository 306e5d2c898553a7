"""`fairlead log`: rows as table, JSON and CSV."""

from __future__ import annotations

import csv
import inspect
import io
import json
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import ipc

from fairlead.cli import app
from fairlead.cli.log import info, query
from fairlead.cli.rows import TABLE_ROWS, plain
from fairlead.cli.serve import serve

PYTHON = Path(app.__file__).parents[2]
START = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> str:
    """A log with 3 rows of one endpoint."""
    batch = pa.RecordBatch.from_pylist(
        [
            {
                "id": uuid.UUID(int=n).bytes,
                "time": START + timedelta(hours=n),
                "endpoint": "fraud",
                "bundle": "ab" * 32,
                "score": [0.25, None, float("nan")][n],
                "violations": ["amount: missing"] if n else [],
                "features": {"amount": n, "note": 'a "quoted", note'},
            }
            for n in range(3)
        ],
        schema=pa.schema(
            [
                ("id", pa.uuid()),
                ("time", pa.timestamp("us", tz="UTC")),
                ("endpoint", pa.string()),
                ("bundle", pa.string()),
                ("score", pa.float64()),
                ("violations", pa.list_(pa.string())),
                ("features", pa.struct([("amount", pa.int64()), ("note", pa.string())])),
            ]
        ),
    )
    path = tmp_path / "log" / "fraud" / "abababababab-1-2-3.arrow"
    path.parent.mkdir(parents=True)
    with ipc.new_stream(str(path), batch.schema) as writer:
        writer.write_batch(batch)
    return str(tmp_path / "log")


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a fresh folder the current one."""
    monkeypatch.chdir(tmp_path)


def ask(capsys: Any, *arguments: str) -> str:
    assert app.run(["log", *arguments]) == 0
    out, _ = capsys.readouterr()
    return str(out)


def test_the_log_is_looked_for_where_the_server_puts_it() -> None:
    default = inspect.signature(serve).parameters["log"].default
    assert inspect.signature(query).parameters["log"].default == default
    assert inspect.signature(info).parameters["log"].default == default


SQL = "SELECT id, time, score, violations, features, sum(1) OVER () AS n FROM predictions ORDER BY id"


def test_json_is_a_list_of_objects_with_plain_values(log: str, capsys: Any) -> None:
    rows = json.loads(ask(capsys, "query", SQL, "--log", log, "--json"))
    assert [row["score"] for row in rows] == [0.25, None, None]
    assert rows[1] == {
        "id": str(uuid.UUID(int=1)),
        "time": "2026-03-01T13:00:00.000005Z",
        "score": None,
        "violations": ["amount: missing"],
        "features": {"amount": 1, "note": 'a "quoted", note'},
        "n": 3,
    }


def test_json_of_no_rows_is_an_empty_list(log: str, capsys: Any) -> None:
    assert json.loads(ask(capsys, "query", "FROM predictions WHERE false", "--log", log, "--json")) == []


def test_csv_is_read_back_as_written(log: str, capsys: Any) -> None:
    header, *rows = csv.reader(io.StringIO(ask(capsys, "query", SQL, "--log", log, "--csv")))
    assert header == ["id", "time", "score", "violations", "features", "n"]
    assert rows[0][:4] == [str(uuid.UUID(int=0)), "2026-03-01T12:00:00.000005Z", "0.25", "[]"]
    assert rows[1][2] == ""
    assert json.loads(rows[2][4]) == {"amount": 2, "note": 'a "quoted", note'}


def test_the_table_shows_whole_values(log: str, capsys: Any) -> None:
    text = ask(capsys, "query", "SELECT repeat('x', 300) AS wide, score FROM predictions LIMIT 2", "--log", log)
    assert "x" * 300 in text
    assert "NULL" in text


def test_a_long_table_is_cut_and_stderr_says_so(log: str, capsys: Any) -> None:
    assert app.run(["log", "query", "SELECT 'row-' || range AS r FROM range(1000)", "--log", log]) == 0
    out, err = capsys.readouterr()
    assert out.count("row-") == TABLE_ROWS
    assert f"first {TABLE_ROWS} rows" in err


def test_info_tells_and_gives_json(log: str, capsys: Any) -> None:
    [entry] = json.loads(ask(capsys, "info", "--log", log, "--json"))
    assert (entry["endpoint"], entry["rows"], entry["torn_bytes"]) == ("fraud", 3, 0)
    assert (entry["first"], entry["last"]) == ("2026-03-01T12:00:00.000005Z", "2026-03-01T14:00:00.000005Z")
    assert "rows      3" in ask(capsys, "info", "--log", log)


def test_info_of_an_empty_log_says_so(tmp_path: Path, capsys: Any) -> None:
    assert app.run(["log", "info", "--log", str(tmp_path)]) == 0
    assert capsys.readouterr() == ("", f"no predictions in {tmp_path}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "SELECT 1", "--log", "nowhere"], "error: no prediction log at nowhere"),
        (["query", "DROP TABLE x", "--log", "."], "error: one SELECT statement is wanted, this is: DROP"),
        (["query", "SELECT", "--log", "."], "error: the SQL is wrong: "),
        (["query", "SELECT 1", "--log", ".", "--json", "--csv"], "error: --json and --csv exclude each other"),
        (["query", "SELECT 1"], "error: no prediction log at predictions"),
        (["info", "--log", "nowhere"], "error: no prediction log at nowhere"),
        (["zip"], "error: No such command 'zip'."),
        ([], "error: Missing command."),
    ],
)
def test_bad_input_exits_with_2(
    capsys: Any, tmp_path: Path, monkeypatch: Any, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert app.run(["log", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (float("inf"), None),
        (Decimal(12), 12),
        (Decimal("12.5"), 12.5),
        (b"\x01\xff", "01ff"),
        (date(2026, 3, 1), "2026-03-01"),
        (time(12, 30), "12:30:00"),
        (datetime.fromisoformat("2026-03-01"), "2026-03-01T00:00:00"),
        ([("a", 1)], [["a", 1]]),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (timedelta(hours=1), "1:00:00"),
        (pa.scalar((1, 2, 3), pa.month_day_nano_interval()).as_py(), "MonthDayNano(months=1, days=2, nanoseconds=3)"),
    ],
)
def test_values_that_json_does_not_have(value: Any, want: Any) -> None:
    assert plain(value) == want


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_a_reader_that_goes_away_ends_the_command_quietly(log: str, form: str) -> None:
    sql = "SELECT range AS r FROM range(1000000)"
    command = [sys.executable, "-m", "fairlead", "log", "query", sql, "--log", log, form]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=PYTHON) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
