"""Edits to ONNX graphs that make them equal for equal models, and named as the signature has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairlead.errors import ConversionError
from fairlead.schema.signature import Datatype, Scalar, TensorSpec

OPSETS = {"": 15, "ai.onnx.ml": 3}
"""Fixed, so that a newer converter does not change the graph of the same model; the newest that all of them know."""
BATCH = "batch"
_GRAPH_NAME = "fairlead"


def normalised(model: Any, outputs: Sequence[str] | None = None) -> bytes:
    """Return the graph's bytes, equal for equal models whatever process made it.

    ZipMap nodes are taken out, outputs renamed in order, inner values and nodes named by number, the first dimension
    of every input and output made the batch, attributes sorted, remarks about the producer dropped.
    Raises `ConversionError` where the outputs are not as many as their names.
    """
    drop_zipmap(model)
    graph = model.graph
    if outputs is not None and len(outputs) != len(graph.output):
        found = [value.name for value in graph.output]
        raise ConversionError(f"the converted graph has outputs {found} where {list(outputs)} are expected")
    wanted = list(outputs) if outputs is not None else [value.name for value in graph.output]
    names = {value.name: value.name for value in graph.input}
    clash = set(names) & set(wanted)
    if clash:
        raise ConversionError(f"{sorted(clash)} name both an input and an output of the graph")
    names |= {value.name: name for value, name in zip(graph.output, wanted, strict=True)}
    _rename(graph, names, set(names.values()))
    for value in [*graph.input, *graph.output]:
        make_batched(value)
    _strip(model)
    return bytes(model.SerializeToString(deterministic=True))


def make_batched(value: Any) -> None:
    """Make the first dimension of a graph's input or output the batch."""
    shape = value.type.tensor_type.shape
    if not shape.dim:
        shape.dim.add()
    shape.dim[0].ClearField("dim_value")
    shape.dim[0].dim_param = BATCH


def drop_zipmap(model: Any) -> None:
    """Replace ZipMap's list of dicts by the tensor of class scores that it was made from."""
    from onnx import TensorProto, helper

    graph = model.graph
    for node in [node for node in graph.node if node.op_type == "ZipMap"]:
        for index, value in enumerate(graph.output):
            if value.name == node.output[0]:
                graph.output[index].CopyFrom(
                    helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, [BATCH, None])
                )
        graph.node.remove(node)


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs] if attribute.type in (5, 10) else []:
                yield from _graphs(inner)


def _rename(graph: Any, names: dict[str, str], taken: set[str]) -> None:
    def new(name: str) -> str:
        if name and name not in names:
            number = len(names)
            while f"v{number}" in taken:
                number += 1
            names[name] = f"v{number}"
            taken.add(names[name])
        return names.get(name, "")

    number = 0
    for part in _graphs(graph):
        for value in [*part.input, *part.initializer, *part.output]:
            value.name = new(value.name)
        for node in part.node:
            node.name = f"n{number}"
            number += 1
            node.input[:] = [new(name) for name in node.input]
            node.output[:] = [new(name) for name in node.output]


def _strip(model: Any) -> None:
    """Drop what depends on the maker or on the order of a set, and means nothing to the runtime."""
    for field in ("producer_name", "producer_version", "domain", "doc_string", "metadata_props", "model_version"):
        model.ClearField(field)
    opsets = sorted(model.opset_import, key=lambda opset: str(opset.domain))
    kept = [(opset.domain, opset.version) for opset in opsets]
    model.ClearField("opset_import")
    for domain, version in kept:
        model.opset_import.add(domain=domain, version=version)
    for part in _graphs(model.graph):
        part.name = _GRAPH_NAME
        part.ClearField("doc_string")
        part.ClearField("value_info")
        for value in [*part.input, *part.output, *part.initializer]:
            value.ClearField("doc_string")
        for node in part.node:
            node.ClearField("doc_string")
            attributes = sorted(node.attribute, key=lambda attribute: str(attribute.name))
            node.ClearField("attribute")
            node.attribute.extend(attributes)


def attributes_of(node: Any) -> dict[str, Any]:
    """Return a node's attributes by name, as protobuf messages."""
    return {attribute.name: attribute for attribute in node.attribute}


def ensemble_node(model: Any) -> Any:
    """Return the graph's tree ensemble; raises `ConversionError` where there is not exactly one."""
    nodes = [node for node in model.graph.node if node.op_type.startswith("TreeEnsemble")]
    if len(nodes) != 1:
        raise ConversionError(f"the converted graph has {len(nodes)} tree ensembles where one is expected")
    return nodes[0]


def relabel(model: Any, labels: Sequence[Scalar]) -> None:
    """Make the classifier's label output say `labels` instead of 0, 1, ...

    Raises `ConversionError` where labels are neither all whole numbers nor all strings.
    """
    from onnx import TensorProto, helper

    node = ensemble_node(model)
    kept = [a for a in node.attribute if a.name not in ("classlabels_int64s", "classlabels_strings")]
    if all(isinstance(label, bool | int) for label in labels):
        new, kind = helper.make_attribute("classlabels_int64s", [int(label) for label in labels]), TensorProto.INT64
    elif all(isinstance(label, str) for label in labels):
        new, kind = helper.make_attribute("classlabels_strings", [str(label) for label in labels]), TensorProto.STRING
    else:
        raise ConversionError(f"labels {list(labels)} are neither all whole numbers nor all strings")
    node.ClearField("attribute")
    node.attribute.extend([*kept, new])
    output = model.graph.output[0]
    output.type.tensor_type.elem_type = kind
    for step in model.graph.node:
        if step.op_type == "Cast" and output.name in step.output:  # it made the old labels integers
            step.op_type = "Identity"
            step.ClearField("attribute")


def raise_opset(model: Any) -> None:
    """Let the graph use all operators of `OPSETS` in the ML domain; those it has mean the same in it."""
    for opset in model.opset_import:
        if opset.domain == "ai.onnx.ml":
            opset.version = max(opset.version, OPSETS["ai.onnx.ml"])


def element_types() -> Mapping[Datatype, int]:
    """Return ONNX's element type for each datatype."""
    from onnx import TensorProto

    return {
        Datatype.BOOL: TensorProto.BOOL,
        Datatype.UINT8: TensorProto.UINT8,
        Datatype.UINT16: TensorProto.UINT16,
        Datatype.UINT32: TensorProto.UINT32,
        Datatype.UINT64: TensorProto.UINT64,
        Datatype.INT8: TensorProto.INT8,
        Datatype.INT16: TensorProto.INT16,
        Datatype.INT32: TensorProto.INT32,
        Datatype.INT64: TensorProto.INT64,
        Datatype.FP32: TensorProto.FLOAT,
        Datatype.FP64: TensorProto.DOUBLE,
        Datatype.BYTES: TensorProto.STRING,
    }


def value_info(spec: TensorSpec) -> Any:
    """Return the graph's declaration of a tensor of the signature."""
    from onnx import helper

    shape = [BATCH if size == -1 else size for size in spec.shape]
    return helper.make_tensor_value_info(spec.name, element_types()[spec.datatype], shape)
