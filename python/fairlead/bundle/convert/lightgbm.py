"""LightGBM to ONNX by onnxmltools, with thresholds and missing values put right."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fairlead.bundle.convert.categories import look_up_categories
from fairlead.bundle.convert.graph import (
    OPSETS,
    attributes_of,
    ensemble_node,
    normalised,
    relabel,
)
from fairlead.bundle.runtime.lightgbm import category_codes
from fairlead.bundle.sample import first_line
from fairlead.bundle.sources.source import MATRIX_NAME
from fairlead.errors import ConversionError
from fairlead.schema.signature import Scalar, Signature


def convert_booster(booster: Any, signature: Signature, labels: Sequence[Scalar], outputs: Sequence[str]) -> bytes:
    """Return the booster as an ONNX graph of the signature's inputs; raises `ConversionError`."""
    from onnxmltools.convert import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    inputs = [(MATRIX_NAME, FloatTensorType([None, booster.num_feature()]))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = convert_lightgbm(
                booster, name="fairlead", initial_types=inputs, target_opset=OPSETS[""], zipmap=False
            )
    except Exception as error:  # a converter can raise anything
        raise ConversionError(f"onnxmltools: {first_line(error)}") from error
    trees = booster.dump_model()["tree_info"]
    _repair(ensemble_node(model), [tree["tree_structure"] for tree in trees])
    if labels:
        relabel(model, labels)
    look_up_categories(model, signature, category_codes(booster))
    return normalised(model, outputs)


def _repair(node: Any, trees: Sequence[Mapping[str, Any]]) -> None:
    """Round thresholds down to float32, and send missing values where LightGBM sends them.

    For a value that float32 holds exactly, `x <= t` is the same as `x <= t32` with t32 the largest float32 not above
    t; the nearest float32 may lie above t and let through a value that t stops.
    """
    attributes = attributes_of(node)
    values, tracks = attributes["nodes_values"].floats, attributes["nodes_missing_value_tracks_true"].ints
    for index, split in _paired(attributes, trees):
        if split["decision_type"] != "<=":
            continue
        if split["missing_type"] == "Zero":
            raise ConversionError("the model was trained with zero_as_missing, which ONNX ensembles do not have")
        values[index] = rounded_down(split["threshold"])
        # With missing type None, LightGBM reads a missing value as 0.
        tracks[index] = int(split["default_left"] if split["missing_type"] == "NaN" else split["threshold"] >= 0)


def rounded_down(threshold: float) -> float:
    """Return the largest float32 that is not above the threshold."""
    with np.errstate(over="ignore"):  # beyond float32 lies infinity, which is what is meant
        nearest = np.float32(threshold)
    return float(nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32(-np.inf)))


def _paired(
    attributes: Mapping[str, Any], trees: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield (index of the ONNX node, LightGBM's split) for every split, walking both from the root."""
    tree_ids, node_ids = attributes["nodes_treeids"].ints, attributes["nodes_nodeids"].ints
    modes = attributes["nodes_modes"].strings
    yes, no = attributes["nodes_truenodeids"].ints, attributes["nodes_falsenodeids"].ints
    where = {key: index for index, key in enumerate(zip(tree_ids, node_ids, strict=True))}
    for tree, root in enumerate(trees):
        waiting = [(0, root)]
        while waiting:
            node, split = waiting.pop()
            if "split_feature" not in split:
                continue
            index = where[tree, node]
            yield index, split
            waiting.append((yes[index], split["left_child"]))
            # A set of categories became a chain of equalities along the `no` side.
            for _ in range(str(split["threshold"]).count("||") if split["decision_type"] == "==" else 0):
                index = where[tree, no[index]]
                if modes[index] != b"BRANCH_EQ":
                    raise ConversionError("the converted graph's category splits are not laid out as expected")
            waiting.append((no[index], split["right_child"]))
