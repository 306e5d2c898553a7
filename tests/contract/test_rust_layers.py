"""The data plane's modules keep their order: a `use crate::` may only point down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "crates" / "dataplane" / "src"
ROWS = (
    {"serve"},  # HTTP to answers and back
    {"load"},  # a snapshot to a plan
    {"answer"},  # the path of a prediction, in one place
    {"mirror"},  # a copy of a request for the shadow
    {"plan"},  # what is served now
    {"execute"},  # one batch through one model
    {"bundle", "infer", "lane", "log", "metrics", "route", "validate"},  # the steps
    {"admission", "arms", "stats"},  # places for rows; what is counted of units, inputs and scores
    {"slices"},  # units by the value of a column
    {"model"},  # a signature, compiled
    {"wire"},  # every format that crosses the process's boundary
    {"violation", "tensor"},
    {"error", "histogram", "ids"},
)
ROW = {module: number for number, row in enumerate(ROWS) for module in row}
# One step may not know another: `execute` and `answer` put them together.
STEPS = next(row for row in ROWS if "infer" in row)
USE = re.compile(r"\bcrate::(?:\{(?P<group>[^;]*)\}|(?P<one>\w+))")


def modules() -> list[str]:
    """The modules that lib.rs declares."""
    return re.findall(r"^(?:pub(?:\(crate\))? )?mod (\w+);", (SOURCE / "lib.rs").read_text(), re.MULTILINE)


def files_of(module: str) -> list[Path]:
    """Its files without those that hold only tests."""
    files = [SOURCE / f"{module}.rs", *SOURCE.joinpath(module).rglob("*.rs")]
    return [path for path in files if path.exists() and "tests" not in path.stem]


def used_by(path: Path) -> set[str]:
    """Modules of this crate that the file names outside its tests."""
    code = path.read_text().split("#[cfg(test)]\nmod ")[0]
    found: set[str] = set()
    for match in USE.finditer(code):
        names = re.findall(r"(?:^|,)\s*(\w+)", match["group"]) if match["group"] else [match["one"]]
        found |= set(names) & set(ROW)
    return found


def test_every_module_has_its_row() -> None:
    assert set(modules()) == set(ROW)


@pytest.mark.parametrize("module", sorted(ROW))
def test_a_module_uses_only_what_is_below(module: str) -> None:
    files = files_of(module)
    assert files
    for path in files:
        upward = {used for used in used_by(path) - {module} if ROW[used] < ROW[module]}
        assert not upward, f"{path.relative_to(SOURCE)} uses {sorted(upward)}"


@pytest.mark.parametrize("module", sorted(STEPS))
def test_steps_do_not_know_each_other(module: str) -> None:
    for path in files_of(module):
        assert not used_by(path) & (STEPS - {module}), path.relative_to(SOURCE)


def test_uses_are_found() -> None:
    assert {"answer", "plan", "wire"} <= {used for path in files_of("serve") for used in used_by(path)}


def test_the_data_plane_knows_nothing_of_python() -> None:
    manifest = (SOURCE.parent / "Cargo.toml").read_text()
    assert "pyo3" not in manifest
    assert not [path for path in SOURCE.rglob("*.rs") if "pyo3" in path.read_text()]
