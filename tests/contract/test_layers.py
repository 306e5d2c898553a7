"""Rules on imports that import-linter cannot see: who may touch the native part, and what is pure."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "python" / "fairlead"
MAY_USE_CORE = {"cli/serve.py"}
"""Everything else goes through `fairlead serve`."""


def uses_core(path: Path) -> bool:
    """Return True if the module imports `fairlead._core` in any way."""
    return any(
        (
            isinstance(node, ast.ImportFrom)
            and "_core" in {*(node.module or "").split("."), *(n.name for n in node.names)}
        )
        or (isinstance(node, ast.Import) and any(name.name.startswith("fairlead._core") for name in node.names))
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_only_named_modules_use_the_native_part() -> None:
    modules = {str(path.relative_to(PACKAGE)): path for path in PACKAGE.rglob("*.py")}
    assert len(modules) > 20
    assert {name for name, path in modules.items() if uses_core(path)} == MAY_USE_CORE


PURE = {
    "__future__",
    "collections",
    "dataclasses",
    "enum",
    "fairlead",
    "functools",
    "hashlib",
    "itertools",
    "math",
    "numpy",
    "scipy",
    "typing",
}
"""What `fairlead.rollout` may import: nothing here reads a clock, a file or a source of chance."""
PURE_WITH_TEXT = PURE | {"html", "statistics"}
"""`fairlead.monitor` too; it also makes a page, and takes quantiles of the normal from the standard library."""


def imported(path: Path) -> set[str]:
    """The names of the packages that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return {name.split(".")[0] for name in plain | {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}}


def test_rollouts_are_decided_without_clock_files_or_chance() -> None:
    modules = list((PACKAGE / "rollout").rglob("*.py"))
    assert len(modules) > 15
    assert set().union(*map(imported, modules)) <= PURE
    assert not [path.name for path in modules if "np.random" in path.read_text()]


def test_monitors_decide_without_clock_files_or_chance() -> None:
    modules = list((PACKAGE / "monitor").rglob("*.py"))
    assert len(modules) > 15
    assert set().union(*map(imported, modules)) <= PURE_WITH_TEXT
    assert not [path.name for path in modules if "np.random" in path.read_text()]
