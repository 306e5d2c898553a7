"""What commands write about a control plane's answers."""

from __future__ import annotations

import pytest

from fairlead.cli.remote import show


def test_a_program_that_reads_a_table_gets_each_row_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show(("name", "sha256", "reason"), [("fraud", "0123456789ab", "because " * 30), ("other", None, "")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "0123456789ab" in lines[1]
    assert lines[1].rstrip().endswith("because")
