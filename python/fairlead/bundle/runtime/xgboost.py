"""XGBoost boosters, as the Python engine runs them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlead.bundle.runtime.categories import Codes, coded_matrix
from fairlead.bundle.runtime.runner import LABEL, PREDICTION, PROBABILITIES, label_tensor
from fairlead.bundle.sample import Array
from fairlead.bundle.tensors import Tensors
from fairlead.schema.signature import Scalar, Signature


def objective_of(booster: Any) -> str:
    """Return the objective's name, for example `binary:logistic`."""
    return str(json.loads(booster.save_config())["learner"]["objective"]["name"])


def category_codes(booster: Any) -> Codes:
    """Return the codes of the features that were categories of a frame in training, which XGBoost 3.1 records."""
    if not hasattr(booster, "get_categories"):
        return {}
    recorded = booster.get_categories(export_to_arrow=True)
    lists = recorded.to_arrow() if recorded is not None else []
    return {
        number: {category: code for code, category in enumerate(categories.to_pylist())}
        for number, (_, categories) in enumerate(lists)
        if categories is not None
    }


class XgboostRunner:
    """Answers `label` and `probabilities` for the probability objectives, else `prediction`."""

    def __init__(self, booster: Any, signature: Signature, labels: Sequence[Scalar]) -> None:
        self._booster = booster
        self._signature = signature
        self._labels = list(labels)
        self._codes = category_codes(booster)
        if objective_of(booster) == "multi:softmax":
            # softmax answers the class only; its probabilities are the same model's.
            booster.set_param({"objective": "multi:softprob"})

    def run(self, inputs: Mapping[str, Array]) -> Tensors:
        """Return the outputs named above."""
        import xgboost

        rows = coded_matrix(self._signature, inputs, self._codes)
        batch = xgboost.DMatrix(rows, feature_types=self._booster.feature_types)
        predicted = np.asarray(self._booster.predict(batch, validate_features=False))
        if not self._labels:
            return {PREDICTION: predicted}
        scores = predicted if predicted.ndim == 2 else np.stack([1.0 - predicted, predicted], axis=1)
        return {LABEL: label_tensor(self._labels, scores.argmax(axis=1)), PROBABILITIES: scores}
