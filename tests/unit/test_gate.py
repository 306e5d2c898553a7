"""The gate counts what its steps ran, and fails where one of them did."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


gate = script("gate")
requirements = script("requirements")


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("1 failed, 12 passed, 2 errors in 3.20s", {"failed": 1, "passed": 12, "error": 2}),
        ("\x1b[32m===== 7 passed, 1 skipped in 61.20s (0:01:01) =====\x1b[0m", {"passed": 7, "skipped": 1}),
        ("test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured", {"passed": 5, "failed": 0, "skipped": 1}),
        ("42 files already formatted", {}),
        ("Analyzed 5 files", {}),
    ],
)
def test_counts_are_read_from_the_last_line_of_test_runners(line: str, counts: dict[str, int]) -> None:
    step = gate.Step("x")
    step.read(line)
    assert step.counts == counts


def test_the_summary_names_the_tests_that_failed() -> None:
    step = gate.Step("faults")
    for line in (
        "FAILED tests/faults/test_kill.py::test_a[1 2] - AssertionError: 3 != 4",
        "\x1b[31mERROR\x1b[0m tests/faults/test_drain.py::test_b",
        "test log::tests::torn ... FAILED",
        "test log::tests::whole ... ok",
        "FAILED to connect, trying again",
    ):
        step.read(line)
    named = [
        "tests/faults/test_kill.py::test_a[1 2] - AssertionError: 3 != 4",
        "tests/faults/test_drain.py::test_b",
        "log::tests::torn",
    ]
    assert step.broken == named
    assert all(name in gate.summary([step], 1.0) for name in named)


def test_counts_of_several_test_binaries_add_up() -> None:
    step = gate.Step("rust-test")
    for passed in (3, 4):
        step.read(f"test result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured")
    assert step.counts["passed"] == 7


def test_the_closing_line_counts_tests_and_steps() -> None:
    steps = [
        gate.Step("lint", ok=True),
        gate.Step("types", ok=False),
        gate.Step("unit", ok=True, counts={"passed": 10, "skipped": 1}),
        gate.Step("contract", ok=False, counts={"passed": 5, "failed": 2}),
    ]
    assert gate.summary(steps, 1.5).splitlines()[-1] == "3 failed, 16 passed, 1 skipped in 1.50s"


def test_a_failing_step_does_not_stop_the_others_and_fails_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "Makefile").write_text("bad:\n\t@exit 3\ngood:\n\t@echo '4 passed in 0.10s'\n")
    monkeypatch.chdir(tmp_path)
    assert gate.main(["bad", "good"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"FAILED bad .*\n +ok +good ", out)
    assert re.fullmatch(r"1 failed, 4 passed in [\d.]+s", out.splitlines()[-1])
    assert gate.main(["good"]) == 0


def test_targets_joined_by_a_plus_run_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    # Each opens one end of a pipe, which waits for the other end: one after the other they would wait for ever.
    recipe = (
        "a:\n\t@mkfifo p 2>/dev/null || true; echo 1 > p\n\t@echo '1 passed in 0.10s'\n"
        "b:\n\t@until [ -p p ]; do :; done; read x < p\n"
    )
    (tmp_path / "Makefile").write_text(recipe)
    monkeypatch.chdir(tmp_path)
    assert gate.main(["a+b"]) == 0
    assert "a: 1 passed in 0.10s" in capsys.readouterr().out


def test_requirements_follow_references_between_extras() -> None:
    project = {"optional-dependencies": {"a": ["x>=1"], "b": ["fairlead[a]", "y[z]>=2"], "c": ["fairlead[a,b]"]}}
    assert sorted(requirements.expand(project, "c")) == ["x>=1", "x>=1", "y[z]>=2"]
