"""ONNX graphs that somebody else made, as a source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairlead.bundle.convert.graph import attributes_of, drop_zipmap, element_types, make_batched
from fairlead.bundle.runtime import Runner
from fairlead.bundle.sample import Column, first_line
from fairlead.bundle.sources.source import Layout, ModelFacts, Origin, SavedModel
from fairlead.errors import BadInputError, BundleError
from fairlead.schema.signature import Scalar, Signature, Task, TensorSpec

VARIABLE = -1


class OnnxSource:
    """A graph. It is kept as it is, but for ZipMap outputs and a fixed batch."""

    libraries: Sequence[str] = ("onnx",)

    def __init__(self, model: Any, origin: Origin) -> None:
        self.origin = origin
        self._model = type(model)()
        self._model.CopyFrom(model)
        drop_zipmap(self._model)
        graph = self._model.graph
        weights = {weight.name for weight in graph.initializer}
        self._inputs = [value for value in graph.input if value.name not in weights]
        for value in [*self._inputs, *graph.output]:
            make_batched(value)
        graph.ClearField("value_info")  # it may hold the fixed batch
        self.inputs = [_spec(value) for value in self._inputs]
        labels = tuple(_labels(graph))
        task = None if not labels else Task.BINARY if len(labels) == 2 else Task.MULTICLASS
        names = tuple(spec.name for spec in self.inputs)
        self.facts = ModelFacts(names=None, width=self._width(), task=task, labels=labels, tensors=names)

    @classmethod
    def read(cls, path: Path, origin: Origin) -> OnnxSource:
        """Read a .onnx file, with its weights where they lie beside it; raises `BadInputError`."""
        import onnx

        try:
            model = onnx.load(path)
            onnx.checker.check_model(model)
        except Exception as error:  # protobuf's, onnx's and the file system's errors have no common base
            raise BadInputError(f"{path.name} is not an ONNX model: {first_line(error)}") from error
        return cls(model, origin)

    def _width(self) -> int | None:
        """Return the number of columns that the inputs hold, None where they are no columns."""
        widths = [1 if len(spec.shape) == 1 else spec.shape[1] for spec in self.inputs]
        if any(len(spec.shape) > 2 for spec in self.inputs) or VARIABLE in widths:
            return None
        return sum(widths)

    def layout(self, features: Sequence[Column]) -> Layout:  # noqa: ARG002 - the seam has it
        """Return the graph's own layout."""
        return Layout.GRAPH

    def runner(self, signature: Signature) -> Runner | None:  # noqa: ARG002 - the seam has it
        """Return None: the bundle runs the graph itself."""
        return None

    def convert(self, signature: Signature) -> bytes:  # noqa: ARG002 - the seam has it
        """Return the graph's bytes."""
        return bytes(self._model.SerializeToString(deterministic=True))

    def saved(self) -> SavedModel:
        """Raise `BundleError`: a graph has no Python form."""
        raise BundleError("an ONNX graph has no Python form")


def _spec(value: Any) -> TensorSpec:
    kinds = {element: datatype for datatype, element in element_types().items()}
    tensor = value.type.tensor_type
    if tensor.elem_type not in kinds:
        raise BadInputError(f"the graph's input {value.name!r} is of a type that no request can carry")
    shape = [dim.dim_value if dim.HasField("dim_value") else VARIABLE for dim in tensor.shape.dim]
    return TensorSpec(name=value.name, datatype=kinds[tensor.elem_type], shape=[VARIABLE, *shape[1:]])


def _labels(graph: Any) -> list[Scalar]:
    """Return the class labels that the graph's last classifier names, if one does."""
    for node in reversed(graph.node):
        attributes = attributes_of(node)
        if "classlabels_int64s" in attributes:
            return list(attributes["classlabels_int64s"].ints)
        if "classlabels_ints" in attributes:
            return list(attributes["classlabels_ints"].ints)
        if "classlabels_strings" in attributes:
            return [text.decode() for text in attributes["classlabels_strings"].strings]
    return []
