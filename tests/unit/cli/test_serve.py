"""What `fairlead serve` refuses before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.cli import app


def test_a_log_that_is_a_file_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert app.run(["serve", "--control", "http://127.0.0.1:1", "--log", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == (
        f"error: prediction log {tmp_path / 'file'} is not a folder\nhint: --log names one\n"
    )
