"""Category codes looked up inside the graph, so that a caller sends the categories themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.bundle.convert.graph import raise_opset, value_info
from fairlead.bundle.runtime.categories import Codes
from fairlead.bundle.sources.source import MATRIX_NAME
from fairlead.errors import ConversionError
from fairlead.schema.signature import Scalar, Signature


def look_up_categories(model: Any, signature: Signature, codes: Codes) -> None:
    """Give the graph of one matrix one input per column, and look category codes up in front of the trees.

    Does nothing where there are no categories. Raises `ConversionError` for categories that ONNX cannot look up.
    """
    from onnx import TensorProto, helper

    if not codes:
        return
    raise_opset(model)
    graph = model.graph
    nodes, columns = [], []
    for number, feature in enumerate(signature.features):
        columns.append(f"column_{number}")
        if number in codes and all(isinstance(key, str) for key in codes[number]):
            nodes.append(_label_encoder(feature.tensor, columns[-1], codes[number]))
        elif number in codes:
            nodes.append(helper.make_node("Cast", [feature.tensor], [f"key_{number}"], to=TensorProto.INT64))
            nodes.append(_label_encoder(f"key_{number}", columns[-1], codes[number]))
        else:
            nodes.append(helper.make_node("Cast", [feature.tensor], [columns[-1]], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("Concat", columns, [MATRIX_NAME], axis=1))
    inner = list(graph.node)
    graph.ClearField("node")
    graph.node.extend([*nodes, *inner])
    graph.ClearField("input")
    graph.input.extend([value_info(spec) for spec in signature.inputs])


def _label_encoder(source: str, target: str, codes: Mapping[Scalar, int]) -> Any:
    from onnx import helper

    keys = list(codes)
    strings = all(isinstance(key, str) for key in keys)
    if not strings and not all(isinstance(key, int) for key in keys):
        raise ConversionError(f"categories {keys[:3]} are neither strings nor whole numbers")
    named = {"keys_strings": keys} if strings else {"keys_int64s": [int(key) for key in keys]}
    return helper.make_node(
        "LabelEncoder",
        [source],
        [target],
        domain="ai.onnx.ml",
        values_floats=[float(code) for code in codes.values()],
        default_float=float("nan"),  # unseen and missing alike: a missing value to the trees
        **named,
    )
