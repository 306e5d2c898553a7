"""The demo's folder is its own, and nobody else's files are touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.demo.options import claim, clear
from fairlead.errors import BadInputError


def test_a_new_folder_is_made_and_an_earlier_demos_is_emptied(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b"
    clear(claim(root))
    stale = root / "log" / "old.arrow"
    stale.touch()
    (root / "summary.json").touch()
    (root / "notes.txt").write_text("mine")
    clear(claim(root))
    assert not stale.exists()
    assert not (root / "summary.json").exists()
    assert (root / "notes.txt").read_text() == "mine"


def test_a_folder_of_somebody_elses_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "precious").touch()
    with pytest.raises(BadInputError, match="not made by a demo"):
        claim(tmp_path)
    assert (tmp_path / "log" / "precious").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match="not made by a demo"):
        claim(tmp_path / "file")
