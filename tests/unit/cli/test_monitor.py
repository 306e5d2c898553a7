"""`fairlead monitor compare`: exit codes, JSON, page, and errors that say what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from fairlead.cli.app import run
from fairlead.schema.comparison import Comparison
from tests.conftest import Cli


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of one table, of another that drifted a little, and of one that drifted much and lost a column."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    for name, shift in (("ref", 0.0), ("same", 0.0), ("little", 0.22), ("much", 2.0)):
        score = 1 / (1 + np.exp(-rng.normal(size=4_000)))
        table = {"x": rng.normal(shift, 1, 4_000), "kind": rng.choice(["a", "b"], 4_000), "score": score}
        table |= {"fraud": (rng.random(4_000) < score).astype(int)}
        if name == "much":
            del table["kind"]
        parquet.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    return tmp_path


@pytest.mark.parametrize(
    ("current", "options", "code"),
    [
        ("same", [], 0),
        ("little", [], 0),
        ("little", ["--fail-on", "small"], 1),
        ("little", ["--fail-on", "drift"], 1),
        ("little", ["--tolerance", "0.5", "--fail-on", "drift"], 0),
        ("much", [], 1),
        ("much", ["--fail-on", "large"], 1),
        ("much", ["--fail-on", "never"], 0),
        ("much", ["--columns", "score"], 0),
        ("much", ["--convention", "evidently"], 1),
        ("same", ["--convention", "nannyml"], 0),
    ],
)
def test_the_exit_code_says_whether_it_is_as_bad_as_was_asked(
    tables: Path, current: str, options: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["monitor", "compare", "ref.parquet", f"{current}.parquet", *options]) == code
    told = capsys.readouterr().out
    assert "ref.parquet: 4,000 rows" in told
    assert "columns drifted" in told


def test_json_is_the_document_and_nothing_else(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["ref.parquet", "much.parquet", "--target", "fraud", "--prediction", "score", "--json"]
    assert run(["monitor", "compare", *arguments]) == 1
    found = Comparison.model_validate_json(capsys.readouterr().out)
    assert {one.name: one.role.value for one in found.columns} == {
        "x": "feature",
        "kind": "feature",
        "score": "prediction",
        "fraud": "target",
    }
    assert found.performance is not None
    assert found.performance.metrics[0].name == "auroc"


def test_the_table_names_columns_findings_and_performance(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["monitor", "compare", "ref.parquet", "much.parquet", "--target", "fraud", "--prediction", "score"])
    told = capsys.readouterr().out
    for words in ("(prediction)", "kind: the column is gone", "auroc", "1 of 3 columns drifted: x; worst: large"):
        assert words in " ".join(told.split()), words


def test_the_page_is_written(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["monitor", "compare", "ref.parquet", "same.parquet", "--html", "page.html"]) == 0
    assert "same.parquet against ref.parquet" in (tables / "page.html").read_text()
    assert capsys.readouterr().err == "written: page.html\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.parquet", "same.parquet"], "no data file absent.parquet"),
        (["ref.parquet", "same.parquet", "--columns", "x,y"], "ref.parquet has no column 'y'"),
        (["ref.parquet", "same.parquet", "--columns", "x,,"], "--columns: expected names with commas between"),
        (["ref.parquet", "same.parquet", "--target", "y"], "target 'y' is in neither table"),
        (["ref.parquet", "same.parquet", "--level", "1"], "level: expected"),
        (["ref.parquet", "same.parquet", "--convention", "mine"], "'mine' is not one of"),
        (["ref.parquet", "same.parquet", "--html", "absent/page.html"], "absent/page.html cannot be written"),
    ],
)
def test_what_is_wrong_is_said_with_exit_code_2(
    tables: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["monitor", "compare", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_csv_against_parquet_in_a_process_of_its_own(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,kind\n" + "".join(f"{at % 7},k{at % 2}\n" for at in range(500)))
    table = {"x": [at % 7 for at in range(500)], "kind": [f"k{at % 2}" for at in range(500)]}
    parquet.write_table(pa.table(table), tmp_path / "b.parquet")
    done = cli("monitor", "compare", "a.csv", "b.parquet", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "stable"
