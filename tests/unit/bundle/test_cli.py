"""pack, inspect and verify as a user calls them: data on stdout, talk on stderr, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead.bundle import PackResult
from fairlead.bundle.sample import Array

if TYPE_CHECKING:
    import lightgbm

    from tests.conftest import Cli

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def files(tmp_path: Path, table: dict[str, Array], model: lightgbm.Booster) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    model.save_model(tmp_path / "model.txt")
    pq.write_table(pa.table(table), tmp_path / "sample.parquet")
    return ["model.txt", "--name", "fraud", "--data", "sample.parquet", "--target", "fraud", "--out", "out"]


def test_pack_prints_the_folder_and_tells_the_parity(cli: Cli, files: list[str], tmp_path: Path) -> None:
    done = cli("pack", *files, timeout=60)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / done.stdout.strip()
    assert (folder / "manifest.json").is_file()
    assert folder.parent == tmp_path / "out"
    assert "parity: largest difference" in done.stderr
    assert "0 of 600 decisions changed" in done.stderr
    assert "engine: onnx" in done.stderr


def test_pack_json_is_one_document(cli: Cli, files: list[str], tmp_path: Path) -> None:
    done = cli("pack", *files, "--json", "--threshold", "0.25", "--segment", "country", timeout=60)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["sha256"] == (tmp_path / result["path"] / "DIGEST").read_text().strip()
    assert result["engine"]["kind"] == "onnx"
    assert result["checks"]["parity"]["passed"] is True
    assert result["decision"]["threshold"] == 0.25
    assert result["features"] == ["amount", "age", "balance"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--features", "amount,age"], "error: the model takes 3 columns, but the sample gives 2: amount, age"),
        (["--target", "nope"], "error: target 'nope' is not in the sample"),
        (["--engine", "magic"], "error: --engine is 'magic'"),
        (["--name", "not a name"], "error: 'not a name' is not a name for a bundle"),
        (["--data", "nothing.parquet"], "error: no data file nothing.parquet"),
        (["--signature", "nothing.yaml"], "error: nothing.yaml cannot be read"),
        (["--tolerance", "-1"], "error: the tolerance is -1.0: it cannot be negative"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    cli: Cli, files: list[str], tmp_path: Path, arguments: list[str], words: str
) -> None:
    done = cli("pack", *files, *arguments, timeout=60)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_verify_says_ok_or_names_the_file(cli: Cli, copy: Path) -> None:
    assert (cli("verify", str(copy)).returncode, cli("verify", str(copy)).stdout) == (0, "ok\n")
    (copy / "profile.json").write_text("{}")
    done = cli("verify", str(copy), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"][0]["path"] == "profile.json"
    assert cli("verify", str(copy)).stdout.startswith("profile.json: has 2 bytes")


def test_inspect_shows_signature_parity_lineage_and_files(cli: Cli, packed: PackResult) -> None:
    done = cli("inspect", str(packed.path))
    assert done.returncode == 0, done.stderr
    for words in ("amount", "FP32", "probabilities", "largest difference", "model.onnx", packed.sha256):
        assert words in done.stdout
    document = json.loads(cli("inspect", str(packed.path), "--json").stdout)
    assert document["sha256"] == packed.sha256
    assert document["signature"]["features"][0]["name"] == "amount"


def test_inspect_of_what_is_no_bundle_says_so(cli: Cli, tmp_path: Path) -> None:
    done = cli("inspect", str(tmp_path))
    assert done.returncode == 1
    assert "is not a bundle" in done.stderr
