"""LightGBM boosters and estimators as a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead.bundle.runtime import Runner
from fairlead.bundle.runtime.lightgbm import (
    PROBABILITY_OBJECTIVES,
    LightgbmRunner,
    category_codes,
    objective_of,
)
from fairlead.bundle.runtime.runner import LABEL, PREDICTION, PROBABILITIES, class_labels
from fairlead.bundle.sample import Column
from fairlead.bundle.sources.source import Layout, ModelFacts, Origin, SavedModel
from fairlead.errors import BadInputError, ConversionError
from fairlead.schema.bundle import PythonEngine
from fairlead.schema.signature import FeatureType, Scalar, Signature, Task

MODEL_FILE = "model.txt"


class LightgbmSource:
    """A `Booster`, or an `LGBMClassifier` or `LGBMRegressor` that holds one."""

    libraries: Sequence[str] = ("lightgbm", "onnxmltools")

    def __init__(self, model: Any, origin: Origin) -> None:
        import lightgbm

        self.origin = origin
        self._text: str = _booster(model).model_to_string()
        # Read back: the best iteration only, and the canonical names of what was given by an alias.
        self._booster = lightgbm.Booster(model_str=self._text)
        self._codes = category_codes(self._booster)
        labels = _labels(model, self._text, self._booster)
        names = tuple(self._booster.feature_name())
        unnamed = names == tuple(f"Column_{i}" for i in range(len(names)))
        self.facts = ModelFacts(
            names=None if unnamed else _original_names(model, names),
            width=len(names),
            task=_task(labels),
            labels=tuple(labels),
        )

    def layout(self, features: Sequence[Column]) -> Layout:
        """Return a matrix, or columns where some are categories to look up."""
        strings = [c.name for number, c in enumerate(features) if self._is_foreign_string(number, c)]
        if strings:
            raise BadInputError(
                f"column {strings[0]!r} holds strings, but the model was trained on numbers there",
                hint="name the model's columns with --features",
            )
        return Layout.COLUMNS if self._codes else Layout.MATRIX

    def _is_foreign_string(self, number: int, column: Column) -> bool:
        return column.type is FeatureType.STRING and number not in self._codes

    def runner(self, signature: Signature) -> Runner:
        """Return the booster on doubles."""
        return LightgbmRunner(self._booster, signature, self.facts.labels)

    def convert(self, signature: Signature) -> bytes:
        """Return the trees as one ONNX ensemble, category codes looked up in front of it."""
        from fairlead.bundle.convert.lightgbm import convert_booster

        names = [LABEL, PROBABILITIES] if self.facts.labels else [PREDICTION]
        if "linear_tree: 1" in self._text:
            raise ConversionError("the leaves of linear trees are models, which ONNX ensembles do not have")
        return convert_booster(self._booster, signature, self.facts.labels, names)

    def saved(self) -> SavedModel:
        """Return LightGBM's own text."""
        engine = PythonEngine(runtime="lightgbm", file=MODEL_FILE, format="native")
        return SavedModel(engine, {MODEL_FILE: self._text.encode()})


def _booster(model: Any) -> Any:
    if not hasattr(model, "booster_"):
        if hasattr(model, "fit"):  # an estimator without a booster
            raise BadInputError(f"the {type(model).__name__} has not been fitted")
        return model
    return model.booster_


def _original_names(model: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    given = getattr(model, "feature_names_in_", None)
    return names if given is None or len(given) != len(names) else tuple(str(name) for name in given)


def _labels(model: Any, text: str, booster: Any) -> list[Scalar]:
    if objective_of(text) not in PROBABILITY_OBJECTIVES:
        return []
    if hasattr(model, "classes_"):
        return class_labels(list(model.classes_))
    return list(range(max(2, booster.num_model_per_iteration())))


def _task(labels: Sequence[Scalar]) -> Task:
    if not labels:
        return Task.REGRESSION
    return Task.BINARY if len(labels) == 2 else Task.MULTICLASS
