"""Where a bundle came from: git, digests and DVC, and nothing that differs between machines."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead.bundle import open_bundle, pack_model
from fairlead.bundle.lineage import dvc_reference, git_state
from fairlead.bundle.sample import Array, read_sample
from fairlead.errors import BadInputError

if TYPE_CHECKING:
    import lightgbm


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def test_the_commit_and_whether_a_tracked_file_differs(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "x")
    head = subprocess.run(["git", "-C", tmp_path, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    (tmp_path / "untracked").write_text("1")
    assert git_state(tmp_path) == (head.stdout.strip(), False)
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path) == (head.stdout.strip(), True)


def test_a_folder_outside_git_has_no_commit(tmp_path: Path) -> None:
    assert git_state(tmp_path) == (None, None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "d.csv"
    path.write_text("a\n1\n")
    return path


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_a_dvc_file_beside_the_data(data: Path) -> None:
    data.with_name("d.csv.dvc").write_text(f"outs:\n- md5: {md5(data)}\n  size: 4\n  hash: md5\n  path: d.csv\n")
    found = dvc_reference(data)
    assert found is not None
    assert (found.file, found.hash, found.digest) == ("d.csv.dvc", "md5", md5(data))


def test_an_out_of_a_dvc_lock_above_the_data(data: Path) -> None:
    lock = f"schema: '2.0'\nstages:\n  make:\n    cmd: x\n    outs:\n    - path: data/d.csv\n      md5: {md5(data)}\n"
    (data.parents[1] / "dvc.lock").write_text(lock)
    found = dvc_reference(data)
    assert found is not None
    assert (found.file, found.digest) == ("dvc.lock", md5(data))


def test_other_outs_are_not_the_datas(data: Path) -> None:
    (data.parents[1] / "dvc.lock").write_text("stages:\n  make:\n    outs:\n    - {path: d.csv, md5: abc}\n")
    data.with_name("d.csv.dvc").write_text("outs:\n- {md5: abc, path: other.csv}\n")
    assert dvc_reference(data) is None


def test_a_sample_that_dvc_knows_otherwise_is_refused(data: Path) -> None:
    data.with_name("d.csv.dvc").write_text("outs:\n- {md5: 00000000000000000000000000000000, path: d.csv}\n")
    with pytest.raises(BadInputError, match=r"d\.csv has md5 .*, but d\.csv\.dvc says 0000"):
        dvc_reference(data)


def test_a_dvc_file_that_is_none_is_named(data: Path) -> None:
    data.with_name("d.csv.dvc").write_text("outs: [")
    with pytest.raises(BadInputError, match=r"d\.csv\.dvc cannot be read"):
        dvc_reference(data)


def test_lineage_names_files_without_their_folders(
    data: Path, tmp_path: Path, table: dict[str, Array], model: lightgbm.Booster
) -> None:
    names = ["amount", "age", "balance", "fraud"]
    model.save_model(tmp_path / "model.txt")
    rows = zip(*(table[name].tolist() for name in names), strict=True)
    lines = [",".join(str(cell) for cell in row) for row in [names, *rows]]
    data.write_text("\n".join(lines) + "\n")
    path = pack_model(tmp_path / "model.txt", name="m", data=data, target="fraud", out=tmp_path / "out").path
    lineage = open_bundle(path).lineage
    assert (lineage.source, lineage.data_file, lineage.target) == ("model.txt", "d.csv", "fraud")
    assert lineage.data_sha256 == hashlib.sha256(data.read_bytes()).hexdigest() == read_sample(data).sha256
    assert lineage.source_sha256 == hashlib.sha256((tmp_path / "model.txt").read_bytes()).hexdigest()
    for file in path.iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()
