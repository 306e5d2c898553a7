"""Small ONNX graphs whose answers are known without running them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fairlead.schema.signature import Datatype, Signature, TensorSpec
from tests.serverkit.oip import NUMPY

OPSET = 17
IR_VERSION = 9

Port = tuple[str, str, list[int]]
"""Name, datatype, shape."""


def add_and_subtract() -> Any:
    """INPUT0 + INPUT1 and INPUT0 - INPUT1."""
    from onnx import helper

    ports: list[Port] = [(name, "INT32", [-1, 16]) for name in ("INPUT0", "INPUT1", "OUTPUT0", "OUTPUT1")]
    nodes = [
        helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
        helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]),
    ]
    return _graph(nodes, ports[:2], ports[2:])


def identity(*ports: Port) -> tuple[bytes, Signature]:
    """Give every input back under its name with `_out` behind it."""
    from onnx import helper

    outs: list[Port] = [(f"{name}_out", datatype, shape) for name, datatype, shape in ports]
    nodes = [helper.make_node("Identity", [a], [b]) for (a, *_), (b, *_) in zip(ports, outs, strict=True)]
    return _graph(nodes, ports, outs).SerializeToString(), _signature(ports, outs)


def identity_of_all_types(width: int) -> tuple[bytes, Signature]:
    """Give back an input of every datatype, named as the datatype in small letters."""
    return identity(*((datatype.value.lower(), datatype.value, [-1, width]) for datatype in Datatype))


def lookup(table: Sequence[float]) -> tuple[bytes, Signature]:
    """Give the element of `table` at each index; the graph fails on an index outside of it."""
    from onnx import helper, numpy_helper

    values = numpy_helper.from_array(np.asarray(table, dtype=np.float32), "table")
    nodes = [helper.make_node("Gather", ["table", "index"], ["value"])]
    ins: list[Port] = [("index", "INT64", [-1])]
    outs: list[Port] = [("value", "FP32", [-1])]
    return _graph(nodes, ins, outs, [values]).SerializeToString(), _signature(ins, outs)


def doubling() -> tuple[bytes, Signature]:
    """Give x + x."""
    from onnx import helper

    ins: list[Port] = [("x", "FP32", [-1])]
    outs: list[Port] = [("twice", "FP32", [-1])]
    return _graph([helper.make_node("Add", ["x", "x"], ["twice"])], ins, outs).SerializeToString(), _signature(
        ins, outs
    )


def _graph(nodes: Sequence[Any], ins: Sequence[Port], outs: Sequence[Port], weights: Sequence[Any] = ()) -> Any:
    from onnx import helper

    inputs, results = [_value(port) for port in ins], [_value(port) for port in outs]
    graph = helper.make_graph(nodes, "graph", inputs, results, initializer=list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model


def _value(port: Port) -> Any:
    from onnx import TensorProto, helper

    name, datatype, shape = port
    kind = TensorProto.STRING if datatype == "BYTES" else helper.np_dtype_to_tensor_dtype(np.dtype(NUMPY[datatype]))
    return helper.make_tensor_value_info(name, kind, [None if dim < 0 else dim for dim in shape])


def _signature(ins: Sequence[Port], outs: Sequence[Port]) -> Signature:
    def specs(ports: Sequence[Port]) -> list[TensorSpec]:
        return [TensorSpec(name=name, datatype=Datatype(datatype), shape=shape) for name, datatype, shape in ports]

    return Signature(inputs=specs(ins), outputs=specs(outs))
