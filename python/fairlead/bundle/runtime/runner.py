"""What every engine is: a function of input tensors, and the two ways a Python model likes its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from fairlead.bundle.sample import Array
from fairlead.bundle.tensors import FLOATING, Tensors
from fairlead.schema.signature import Datatype, FeatureSpec, FeatureType, Scalar, Signature

LABEL = "label"
PROBABILITIES = "probabilities"
SCORES = "scores"
PREDICTION = "prediction"


class Runner(Protocol):
    """A loaded model."""

    def run(self, inputs: Mapping[str, Array]) -> Tensors:
        """Return the model's outputs for a batch; raises whatever the model raises."""
        ...


def vector(inputs: Mapping[str, Array], feature: FeatureSpec) -> Array:
    """Return one feature's values of the batch, shape [rows]."""
    tensor = inputs[feature.tensor]
    return tensor if tensor.ndim == 1 else tensor[:, feature.column]


def matrix(inputs: Mapping[str, Array]) -> Array:
    """Return the batch of the one input tensor, shape [rows, columns]."""
    (tensor,) = inputs.values()
    return tensor if tensor.ndim == 2 else tensor[:, None]


def missing_cells(signature: Signature, feature: FeatureSpec, values: Array) -> Array:
    """Return where the feature is missing in a tensor's values."""
    datatype = next(t.datatype for t in signature.inputs if t.name == feature.tensor)
    if not feature.nullable:
        return np.zeros(len(values), dtype=np.bool_)
    marker: Scalar | None = feature.missing
    if marker is None and datatype in FLOATING:
        return np.asarray(np.isnan(values))
    return np.asarray(values == ("" if marker is None else marker), dtype=np.bool_)


def frame(signature: Signature, inputs: Mapping[str, Array]) -> Any:
    """Return the batch as a pandas frame with the columns' names and types as the sample had them."""
    import pandas as pd

    columns: dict[str, Array] = {}
    datatypes = {t.name: t.datatype for t in signature.inputs}
    for feature in signature.features:
        values = vector(inputs, feature)
        missing = missing_cells(signature, feature, values)
        if datatypes[feature.tensor] is Datatype.BYTES and missing.any():
            values = values.copy()
            values[missing] = np.nan  # what pandas itself holds for a missing string
        elif missing.any():
            values = np.where(missing, np.nan, values.astype(np.float64))
        elif feature.type is FeatureType.BOOLEAN:
            values = values.astype(np.bool_)
        columns[feature.name] = values
    return pd.DataFrame(columns)


def class_labels(classes: Sequence[Any]) -> list[Scalar]:
    """Return a model's classes as JSON scalars; floats that are whole numbers become integers."""
    labels: list[Scalar] = []
    for item in classes:
        value = item.item() if isinstance(item, np.generic) else item
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        labels.append(value if isinstance(value, bool | int | float) else str(value))
    return labels


def label_tensor(labels: Sequence[Scalar], index: Array) -> Array:
    """Return the label of each row: int64 where all labels are whole numbers or booleans, else strings."""
    if all(isinstance(label, bool | int) for label in labels):
        return np.array(labels, dtype=np.int64)[index]
    return np.array([str(label) for label in labels], dtype=object)[index]
