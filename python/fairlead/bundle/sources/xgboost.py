"""XGBoost boosters and estimators as a source."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from fairlead.bundle.runtime import Runner
from fairlead.bundle.runtime.runner import LABEL, PREDICTION, PROBABILITIES, class_labels
from fairlead.bundle.runtime.xgboost import XgboostRunner, category_codes, objective_of
from fairlead.bundle.sample import Column
from fairlead.bundle.sources.source import Layout, ModelFacts, Origin, SavedModel
from fairlead.errors import BadInputError
from fairlead.schema.bundle import PythonEngine
from fairlead.schema.signature import FeatureType, Scalar, Signature, Task

MODEL_FILE = "model.ubj"


class XgboostSource:
    """A `Booster`, or an `XGBClassifier` or `XGBRegressor` that holds one."""

    libraries: Sequence[str] = ("xgboost", "onnxmltools")

    def __init__(self, model: Any, origin: Origin) -> None:
        self.origin = origin
        self._booster = _booster(model)
        self._codes = category_codes(self._booster)
        labels = _labels(model, self._booster)
        names = self._booster.feature_names
        width = int(self._booster.num_features())
        unnamed = names is None or list(names) == [f"f{i}" for i in range(width)]
        self.facts = ModelFacts(
            names=None if unnamed else tuple(names),
            width=width,
            task=Task.REGRESSION if not labels else Task.BINARY if len(labels) == 2 else Task.MULTICLASS,
            labels=tuple(labels),
        )

    def layout(self, features: Sequence[Column]) -> Layout:
        """Return a matrix, or columns where some are categories to look up."""
        for number, column in enumerate(features):
            if column.type is FeatureType.STRING and number not in self._codes:
                raise BadInputError(
                    f"column {column.name!r} holds strings, but the model knows no categories there",
                    hint="name the model's columns with --features",
                )
        return Layout.COLUMNS if self._codes else Layout.MATRIX

    def runner(self, signature: Signature) -> Runner:
        """Return a copy of the booster."""
        return XgboostRunner(self._booster.copy(), signature, self.facts.labels)

    def convert(self, signature: Signature) -> bytes:
        """Return the trees as one ONNX ensemble."""
        from fairlead.bundle.convert.xgboost import convert_booster

        names = [LABEL, PROBABILITIES] if self.facts.labels else [PREDICTION]
        return convert_booster(self._booster, signature, self.facts.labels, names)

    def saved(self) -> SavedModel:
        """Return XGBoost's own binary JSON."""
        engine = PythonEngine(runtime="xgboost", file=MODEL_FILE, format="native")
        return SavedModel(engine, {MODEL_FILE: bytes(self._booster.save_raw("ubj"))})


def _booster(model: Any) -> Any:
    if not hasattr(model, "get_booster"):
        return model
    from sklearn.exceptions import NotFittedError

    missing = getattr(model, "missing", None)
    if missing is not None and not math.isnan(missing):
        raise BadInputError(
            f"the model reads {missing} as a missing value; here a missing value is NaN",
            hint="train it with missing=numpy.nan",
        )
    try:
        booster = model.get_booster()
    except NotFittedError as error:
        raise BadInputError(f"the {type(model).__name__} has not been fitted") from error
    best = getattr(model, "best_iteration", None) if getattr(model, "early_stopping_rounds", None) else None
    # The estimator answers with its best iteration, a booster with all of them.
    return booster if best is None else booster[: best + 1]


def _labels(model: Any, booster: Any) -> list[Scalar]:
    objective = objective_of(booster)
    if objective in ("binary:logistic", "binary:hinge"):
        count = 2
    elif objective in ("multi:softprob", "multi:softmax"):
        count = int(json.loads(booster.save_config())["learner"]["learner_model_param"]["num_class"])
    else:
        return []
    classes = class_labels(list(getattr(model, "classes_", [])))
    return classes if len(classes) == count else list(range(count))
