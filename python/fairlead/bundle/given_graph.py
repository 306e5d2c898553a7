"""The signature of an ONNX graph that was given: its inputs filled from the sample's columns, or from list columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead.bundle.features import feature_specs
from fairlead.bundle.outcome import UNSEEN_OUTPUTS
from fairlead.bundle.request import Material
from fairlead.bundle.sample import Array, Column
from fairlead.bundle.sources.onnx import OnnxSource
from fairlead.bundle.tensors import FLOATING, NUMPY_TYPES, Tensors, to_tensors
from fairlead.errors import BadInputError, BundleError
from fairlead.schema.signature import Datatype, FeatureSpec, FeatureType, Signature, TensorSpec


def graph_inputs(material: Material, rows: Array) -> tuple[Signature, Tensors]:
    """Return the signature (outputs not known yet) and the input tensors for the given sample rows.

    A graph whose inputs are columns takes the features; any other takes, per input, a list column of that name.
    Raises `BadInputError` naming the input that cannot be filled.
    """
    source = material.source
    if not isinstance(source, OnnxSource):
        raise BundleError("only an ONNX graph has inputs of its own")
    if any(spec.name in material.sample.tensors for spec in source.inputs):
        return _raw(source, material, rows)
    if source.facts.width is None:
        spec = next(s for s in source.inputs if len(s.shape) > 2 or -1 in s.shape[1:])
        raise BadInputError(
            f"the graph's input {spec.name!r} has shape {spec.shape}: it takes a tensor per row",
            hint=f"give the sample a list column named {spec.name!r}",
        )
    signature = _columns(source, material)
    return signature, to_tensors(signature, {column.name: column.take(rows) for column in material.features})


def _raw(source: OnnxSource, material: Material, rows: Array) -> tuple[Signature, Tensors]:
    inputs: Tensors = {}
    for spec in source.inputs:
        if spec.name not in material.sample.tensors:
            raise BadInputError(f"the sample has no list column for the graph's input {spec.name!r}")
        values = material.sample.tensors[spec.name][rows]
        try:
            inputs[spec.name] = values.reshape(len(rows), *spec.shape[1:]).astype(NUMPY_TYPES[spec.datatype])
        except ValueError as error:
            raise BadInputError(
                f"list column {spec.name!r} has {values.shape[1]} values per row, which do not fill {spec.shape[1:]}"
            ) from error
    return Signature(inputs=source.inputs, outputs=UNSEEN_OUTPUTS), inputs


def _columns(source: OnnxSource, material: Material) -> Signature:
    features = list(material.features)
    names = {column.name for column in features}
    single = all(len(spec.shape) == 1 or spec.shape[1] == 1 for spec in source.inputs)
    if single and {spec.name for spec in source.inputs} == names:
        features = [next(c for c in features if c.name == spec.name) for spec in source.inputs]
    slots = [(spec, column) for spec in source.inputs for column in range(1 if len(spec.shape) == 1 else spec.shape[1])]
    inferred = feature_specs(features, [spec for spec, _ in slots])
    overrides = material.overrides.features
    specs = []
    for (tensor, position), column, feature in zip(slots, features, inferred, strict=True):
        placed = FeatureSpec.model_validate(feature.model_dump() | {"tensor": tensor.name, "column": position})
        specs.append(overrides[column.name].apply(placed) if column.name in overrides else placed)
        _check(tensor, column, specs[-1])
    return Signature(inputs=source.inputs, features=specs, outputs=UNSEEN_OUTPUTS)


def _check(tensor: TensorSpec, column: Column, feature: FeatureSpec) -> None:
    string = column.type is FeatureType.STRING
    if string is not (tensor.datatype is Datatype.BYTES):
        raise BadInputError(
            f"column {column.name!r} holds {column.type.value} values, but the graph's input {tensor.name!r} takes "
            f"{tensor.datatype.value}"
        )
    if tensor.datatype in FLOATING or string:
        return
    if column.missing.any() and feature.missing is None:
        raise BadInputError(
            f"column {column.name!r} has missing values, but the graph's input {tensor.name!r} takes "
            f"{tensor.datatype.value}",
            hint="give the feature a `missing` value in the signature file",
        )
    limits: Any = np.iinfo(NUMPY_TYPES[tensor.datatype]) if tensor.datatype is not Datatype.BOOL else None
    present = column.present()
    if column.type is FeatureType.FLOAT and not (present == np.floor(present)).all():
        raise BadInputError(
            f"column {column.name!r} holds fractions, but the graph's input takes {tensor.datatype.value}"
        )
    if limits is not None and present.size and not limits.min <= present.min() <= present.max() <= limits.max:
        raise BadInputError(f"column {column.name!r} holds values that {tensor.datatype.value} cannot")
