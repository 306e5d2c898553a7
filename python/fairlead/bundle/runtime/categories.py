"""Category codes: what a booster was given in training where the person had strings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fairlead.bundle.runtime.runner import matrix, vector
from fairlead.bundle.sample import Array
from fairlead.schema.signature import Scalar, Signature

Codes = Mapping[int, Mapping[Scalar, int]]
"""Feature number -> category -> code, for the features that were categories in training."""


def coded_matrix(signature: Signature, inputs: Mapping[str, Array], codes: Codes) -> Array:
    """Return the batch as one array of numbers, shape [rows, features]; an unseen category is a missing value."""
    if not codes:
        return matrix(inputs) if len(inputs) == 1 else _stacked(signature, inputs, {})
    return _stacked(signature, inputs, codes)


def _stacked(signature: Signature, inputs: Mapping[str, Array], codes: Codes) -> Array:
    columns = []
    for number, feature in enumerate(signature.features):
        values = vector(inputs, feature)
        known = codes.get(number)
        if known is not None:
            values = np.array([known.get(value, np.nan) for value in values.tolist()], dtype=np.float64)
        columns.append(values.astype(np.float64))
    return np.stack(columns, axis=1)
