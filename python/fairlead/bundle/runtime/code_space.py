"""The modules that a bundle brings along, kept apart from those of the process and of other bundles."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


class CodeSpace:
    """Imports from `folder` win while the space is entered; two bundles may both have a module `model`.

    Not for several threads at once: what is imported is a state of the process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder.resolve())
        self._names = {path.stem for path in folder.iterdir()} if folder.is_dir() else set()
        self._own: dict[str, ModuleType] = {}
        self._settled = False

    def settle(self) -> None:
        """Enter for the rest of the process, which then costs nothing per call."""
        if not self._settled:
            self._swap_in()
            sys.dont_write_bytecode = True
            self._settled = True

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make the bundle's modules the ones that imports find."""
        if self._settled or not self._names:
            yield
            return
        wrote = sys.dont_write_bytecode
        outside = self._swap_in()
        sys.dont_write_bytecode = True  # a bundle is immutable: importing its code must not add a file to it
        try:
            yield
        finally:
            sys.dont_write_bytecode = wrote
            self._own = self._taken()
            sys.modules.update(outside)
            sys.path.remove(self._folder)

    def _swap_in(self) -> dict[str, ModuleType]:
        outside = self._taken()
        sys.modules.update(self._own)
        sys.path.insert(0, self._folder)
        importlib.invalidate_caches()
        return outside

    def _taken(self) -> dict[str, ModuleType]:
        """Remove the modules of these names from the process and return them."""
        named = [name for name in sys.modules if name.partition(".")[0] in self._names]
        return {name: sys.modules.pop(name) for name in named}
