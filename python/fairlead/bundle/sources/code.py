"""The source files that a module needs to run elsewhere: itself, and what it imports from the same folder."""

from __future__ import annotations

import ast
import hashlib
import site
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from fairlead.errors import BadInputError

_CACHES = {"__pycache__", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints"}


def collect_code(module: ModuleType) -> dict[str, bytes]:
    """Return path -> bytes of the module's file, or of its whole top-level package folder, and of local imports.

    A local import is one that resolves to a file or package beside it. Raises `BadInputError` for a module that has no
    source file, or that is an installed library.
    """
    root, first = _root(module)
    files: dict[str, bytes] = {}
    waiting, seen = [first], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        found = _files_of(root, name)
        files.update(found)
        for path, content in found.items():
            if path.endswith(".py"):
                waiting.extend(_imports(path, content) - seen)
    return dict(sorted(files.items()))


def code_sha256(files: Mapping[str, bytes]) -> str:
    """Return one digest over paths and contents."""
    digest = hashlib.sha256()
    for path, content in sorted(files.items()):
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _root(module: ModuleType) -> tuple[Path, str]:
    """Return the folder that the module was imported from, and its top-level name."""
    top = module.__name__.partition(".")[0]
    location = getattr(sys.modules.get(top, module), "__file__", None)
    if location is None or not location.endswith(".py"):
        raise BadInputError(
            f"module {module.__name__!r} has no Python source file that could go into the bundle",
            hint="give a function of a module of your own that calls it",
        )
    file = Path(location).resolve()
    root = file.parent.parent if file.name == "__init__.py" else file.parent
    if any(file.is_relative_to(folder) for folder in _library_folders()):
        raise BadInputError(
            f"module {module.__name__!r} is an installed library, not code of yours",
            hint="give a function of a module of your own that calls it",
        )
    return root, top


def _library_folders() -> set[Path]:
    known = {sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return {Path(folder).resolve() for folder in known | set(site.getsitepackages()) if folder}


def _files_of(root: Path, name: str) -> dict[str, bytes]:
    single, package = root / f"{name}.py", root / name
    if (package / "__init__.py").is_file():
        inside = (p for p in sorted(package.rglob("*")) if p.is_file() and p.suffix != ".pyc")
        kept = (p for p in inside if not _CACHES.intersection(p.relative_to(root).parts))
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in kept}
    return {single.name: single.read_bytes()} if single.is_file() else {}


def _imports(path: str, content: bytes) -> set[str]:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise BadInputError(f"{path} is not Python that this interpreter reads: {error}") from error
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names
