"""Normalised graphs: equal for equal models, named by number, batched, without their maker's marks."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fairlead.bundle.convert.graph import BATCH, normalised
from fairlead.bundle.convert.lightgbm import rounded_down
from fairlead.bundle.runtime.onnx import OnnxRunner
from fairlead.errors import ConversionError
from fairlead.schema.bundle import OnnxEngine


def model(prefix: str, maker: str) -> onnx.ModelProto:
    """Adds 1 where the sum is positive, so that it has inner graphs that use outer names."""

    def branch(name: str, amount: float) -> onnx.GraphProto:
        constant = helper.make_node("Constant", [], [f"{prefix}{name}c"], value_float=amount)
        add = helper.make_node("Add", [f"{prefix}x2", f"{prefix}{name}c"], [f"{prefix}{name}"])
        output = helper.make_tensor_value_info(f"{prefix}{name}", TensorProto.FLOAT, None)
        return helper.make_graph([constant, add], f"{prefix}{name}g", [], [output])

    nodes = [
        helper.make_node("Add", ["x", "x"], [f"{prefix}x2"], name=f"{prefix}double"),
        helper.make_node("ReduceSum", [f"{prefix}x2"], [f"{prefix}sum"], keepdims=0),
        helper.make_node("Constant", [], [f"{prefix}zero"], value_float=0.0),
        helper.make_node("Greater", [f"{prefix}sum", f"{prefix}zero"], [f"{prefix}yes"]),
        helper.make_node(
            "If", [f"{prefix}yes"], ["y"], then_branch=branch("then", 1.0), else_branch=branch("else", 0.0)
        ),
    ]
    graph = helper.make_graph(
        nodes,
        f"{prefix}graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
    )
    made = helper.make_model(graph, producer_name=maker, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    helper.set_model_props(made, {"made": maker})
    return made


def test_graphs_that_differ_in_names_and_maker_only_become_equal() -> None:
    assert normalised(model("a_", "one"), ["out"]) == normalised(model("zz", "another"), ["out"])


def test_a_normalised_graph_computes_the_same_for_any_batch() -> None:
    runner = OnnxRunner(normalised(model("a_", "one"), ["out"]), OnnxEngine())
    for rows in (1, 3):
        values = np.full((rows, 2), 1.0, dtype=np.float32)
        np.testing.assert_array_equal(runner.run({"x": values})["out"], 2 * values + 1)
        np.testing.assert_array_equal(runner.run({"x": -values})["out"], -2 * values)


def test_the_first_dimension_is_the_batch_and_the_maker_is_gone() -> None:
    made = onnx.load_from_string(normalised(model("a_", "one"), ["out"]))
    assert made.producer_name == ""
    assert list(made.metadata_props) == []
    for value in [*made.graph.input, *made.graph.output]:
        assert value.type.tensor_type.shape.dim[0].dim_param == BATCH


def test_other_outputs_than_expected_are_refused() -> None:
    with pytest.raises(ConversionError, match=r"has outputs \['y'\] where \['a', 'b'\] are expected"):
        normalised(model("a_", "one"), ["a", "b"])
    with pytest.raises(ConversionError, match="name both an input and an output"):
        normalised(model("a_", "one"), ["x"])


@pytest.mark.parametrize("threshold", [0.1, 1 / 3, 1e6 + 0.01, -0.1, 1e-35, 0.0, 1.0, 16777217.0])
def test_a_threshold_is_rounded_to_the_largest_float32_that_is_not_above(threshold: float) -> None:
    rounded = np.float32(rounded_down(threshold))
    assert float(rounded) <= threshold
    assert float(np.nextafter(rounded, np.float32(np.inf))) > threshold
