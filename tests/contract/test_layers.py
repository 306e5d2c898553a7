"""Rules on imports that import-linter cannot see: who may touch the native part."""

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
