"""LightGBM boosters, as the Python engine runs them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlead.bundle.runtime.categories import Codes, coded_matrix
from fairlead.bundle.runtime.runner import LABEL, PREDICTION, PROBABILITIES, label_tensor
from fairlead.bundle.sample import Array
from fairlead.bundle.tensors import Tensors
from fairlead.schema.signature import Scalar, Signature

_CATEGORICAL = re.compile(r"^\[categorical_feature: ([0-9,]+)\]$", re.MULTILINE)
_OBJECTIVE = re.compile(r"^objective=(\S+)", re.MULTILINE)
PROBABILITY_OBJECTIVES = ("binary", "multiclass", "multiclassova")


def objective_of(model_text: str) -> str:
    """Return the objective's name; "custom" where the model was trained with a function."""
    found = _OBJECTIVE.search(model_text)
    return found.group(1) if found else "custom"


def category_codes(booster: Any) -> Codes:
    """Return the codes of the features that were pandas categories in training."""
    lists: Sequence[Sequence[Scalar]] = booster.pandas_categorical or []
    found = _CATEGORICAL.search(booster.model_to_string(num_iteration=1))
    if not lists or not found:
        return {}
    numbers = [int(number) for number in found.group(1).split(",")]
    if len(numbers) != len(lists):
        raise ValueError(f"the model has {len(numbers)} categorical features, but categories for {len(lists)}")
    return {
        number: {category: code for code, category in enumerate(categories)}
        for number, categories in zip(numbers, lists, strict=True)
    }


class LightgbmRunner:
    """Answers `label` and `probabilities` for the probability objectives, else `prediction`."""

    def __init__(self, booster: Any, signature: Signature, labels: Sequence[Scalar]) -> None:
        self._booster = booster
        self._signature = signature
        self._labels = list(labels)
        self._codes = category_codes(booster)

    def run(self, inputs: Mapping[str, Array]) -> Tensors:
        """Return the outputs named above."""
        rows = coded_matrix(self._signature, inputs, self._codes)
        predicted = np.asarray(self._booster.predict(rows, validate_features=False))
        if not self._labels:
            return {PREDICTION: predicted}
        scores = predicted if predicted.ndim == 2 else np.stack([1.0 - predicted, predicted], axis=1)
        return {LABEL: label_tensor(self._labels, scores.argmax(axis=1)), PROBABILITIES: scores}
