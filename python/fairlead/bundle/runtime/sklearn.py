"""scikit-learn estimators, as the Python engine runs them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fairlead.bundle.runtime.runner import (
    LABEL,
    PREDICTION,
    PROBABILITIES,
    SCORES,
    class_labels,
    frame,
    label_tensor,
    matrix,
)
from fairlead.bundle.sample import Array
from fairlead.bundle.tensors import Tensors
from fairlead.schema.signature import FeatureType, Scalar, Signature


def parts(estimator: Any) -> Iterator[Any]:
    """Yield the estimator and every estimator inside it (steps, transformers, wrapped models)."""
    yield estimator
    inner = [step for _, step in getattr(estimator, "steps", [])]
    inner += [transformer for _, transformer, _ in getattr(estimator, "transformers_", [])]
    inner += [getattr(estimator, name) for name in ("estimator", "base_estimator") if hasattr(estimator, name)]
    for part in inner:
        if hasattr(part, "get_params") and not isinstance(part, type):
            yield from parts(part)


def takes_frame(estimator: Any, signature: Signature) -> bool:
    """Tell whether the estimator needs named columns: it selects them by name, or some are strings."""
    if any(f.type is FeatureType.STRING for f in signature.features):
        return True
    return any(type(part).__name__ == "ColumnTransformer" for part in parts(estimator))


def labels_of(estimator: Any) -> list[Scalar]:
    """Return a classifier's classes as JSON scalars; empty for everything else."""
    return class_labels(list(getattr(estimator, "classes_", [])))


class SklearnRunner:
    """Answers `label` and `probabilities` (or `scores` where there are none), or `prediction`."""

    def __init__(self, estimator: Any, signature: Signature) -> None:
        self._estimator = estimator
        self._signature = signature
        self._named = takes_frame(estimator, signature)
        self._labels = labels_of(estimator)

    def run(self, inputs: Mapping[str, Array]) -> Tensors:
        """Return the outputs named above."""
        if self._named:
            return self._answers(frame(self._signature, inputs))
        with warnings.catch_warnings():
            # The columns have no names in an array; their order is the signature's, which packing checked.
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            return self._answers(matrix(inputs))

    def _answers(self, rows: Any) -> Tensors:
        if not self._labels:
            return self._plain(rows)
        outputs: Tensors = {LABEL: self._predicted(rows)}
        if hasattr(self._estimator, "predict_proba"):
            outputs[PROBABILITIES] = np.asarray(self._estimator.predict_proba(rows))
        else:
            outputs[SCORES] = np.asarray(self._estimator.decision_function(rows))
        return outputs

    def _plain(self, rows: Any) -> Tensors:
        predicted = np.asarray(self._estimator.predict(rows))
        outputs: Tensors = {PREDICTION: predicted}
        if hasattr(self._estimator, "decision_function"):  # outlier detectors: the sign is all `predict` says
            outputs[SCORES] = np.asarray(self._estimator.decision_function(rows))
        return outputs

    def _predicted(self, rows: Any) -> Array:
        classes = list(self._estimator.classes_)
        position = {label: index for index, label in enumerate(classes)}
        index = np.array([position[label] for label in self._estimator.predict(rows)], dtype=np.int64)
        return label_tensor(self._labels, index)
