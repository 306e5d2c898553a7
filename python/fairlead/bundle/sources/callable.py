"""Python functions `f(batch: dict[str, array]) -> dict[str, array] | array` as a source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fairlead.bundle.layout import CODE_FOLDER
from fairlead.bundle.runtime import Runner
from fairlead.bundle.runtime.callable import CallableRunner
from fairlead.bundle.sample import Column
from fairlead.bundle.sources.source import Layout, ModelFacts, Origin, SavedModel
from fairlead.errors import ConversionError
from fairlead.schema.bundle import PythonEngine
from fairlead.schema.signature import Signature


class CallableSource:
    """A function; its code goes into the bundle."""

    libraries: Sequence[str] = ()

    def __init__(self, function: Callable[..., Any], origin: Origin) -> None:
        self._function = function
        self.origin = origin
        self.facts = ModelFacts(names=None, width=None, task=None)

    def layout(self, features: Sequence[Column]) -> Layout:  # noqa: ARG002 - the seam has it
        """Return one vector per column, whatever their types."""
        return Layout.VECTORS

    def runner(self, signature: Signature) -> Runner:
        """Return the function itself."""
        return CallableRunner(self._function, signature)

    def convert(self, signature: Signature) -> bytes:  # noqa: ARG002 - the seam has it
        """Raise `ConversionError`: a function has no graph."""
        raise ConversionError("a Python function has no ONNX form")

    def saved(self) -> SavedModel:
        """Return the code of the function's module."""
        engine = PythonEngine(runtime="callable", entry=self.origin.text)
        return SavedModel(engine, {f"{CODE_FOLDER}/{path}": content for path, content in self.origin.code.items()})
