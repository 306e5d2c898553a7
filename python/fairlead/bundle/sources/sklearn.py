"""scikit-learn estimators and pipelines as a source."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead.bundle.layout import CODE_FOLDER
from fairlead.bundle.runtime import Runner
from fairlead.bundle.runtime.runner import LABEL, PREDICTION, PROBABILITIES
from fairlead.bundle.runtime.sklearn import SklearnRunner, labels_of, parts
from fairlead.bundle.sample import Column, first_line
from fairlead.bundle.sources.skops_file import skops_bytes
from fairlead.bundle.sources.source import Layout, ModelFacts, Origin, SavedModel
from fairlead.errors import BadInputError, BundleError, ConversionError
from fairlead.schema.bundle import PythonEngine
from fairlead.schema.signature import FeatureType, Scalar, Signature, Task

_PICKLE_PROTOCOL = 5


class SklearnSource:
    """A fitted estimator. `as_read` holds the bytes of the file it was read from, by format, if there was one."""

    libraries: Sequence[str] = ("scikit-learn", "skl2onnx", "skops", "joblib", "scipy", "pandas")

    def __init__(self, estimator: Any, origin: Origin, as_read: Mapping[str, bytes]) -> None:
        self.origin = origin
        self._estimator = estimator
        self._as_read = as_read
        _check(estimator)
        labels = tuple(labels_of(estimator))
        names = getattr(estimator, "feature_names_in_", None)
        width = getattr(estimator, "n_features_in_", None)
        self.facts = ModelFacts(
            names=None if names is None else tuple(str(name) for name in names),
            width=None if width is None else int(width),
            task=_task(estimator, labels),
            labels=labels,
        )

    def layout(self, features: Sequence[Column]) -> Layout:
        """Return columns where some are strings or are selected by name, else a matrix."""
        if any(column.type is FeatureType.STRING for column in features):
            return Layout.COLUMNS
        by_name = any(type(part).__name__ == "ColumnTransformer" for part in parts(self._estimator))
        return Layout.COLUMNS if by_name else Layout.MATRIX

    def runner(self, signature: Signature) -> Runner:
        """Return the estimator itself."""
        return SklearnRunner(self._estimator, signature)

    def convert(self, signature: Signature) -> bytes:
        """Return the estimator as a graph by skl2onnx."""
        from fairlead.bundle.convert.sklearn import convert_estimator

        kind = type(self._estimator).__name__
        if self.facts.labels and not hasattr(self._estimator, "predict_proba"):
            raise ConversionError(f"{kind} has no predict_proba: its decision function is run as it is")
        if self.facts.task is None:
            raise ConversionError(f"{kind} is neither a classifier nor a regressor")
        return convert_estimator(
            self._estimator, signature, [LABEL, PROBABILITIES] if self.facts.labels else [PREDICTION]
        )

    def saved(self) -> SavedModel:
        """Return the estimator as skops where all its types are known to be safe, else as a pickle that needs trust."""
        if "skops" in self._as_read:
            return _saved("skops", self._as_read["skops"])
        if "pickle" in self._as_read:
            return _saved("pickle", self._as_read["pickle"])
        safe = skops_bytes(self._estimator)
        if safe is not None:
            return _saved("skops", safe)
        try:
            content = pickle.dumps(self._estimator, protocol=_PICKLE_PROTOCOL)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise BundleError(
                f"the {type(self._estimator).__name__} cannot be pickled: {first_line(error)}",
                hint="lambdas and local functions cannot be; write them as functions of a module",
            ) from error
        return _saved("pickle", content, {f"{CODE_FOLDER}/{path}": code for path, code in self.origin.code.items()})


def _saved(form: str, content: bytes, code: Mapping[str, bytes] | None = None) -> SavedModel:
    file = "model.skops" if form == "skops" else "model.pkl"
    engine = PythonEngine(runtime="sklearn", file=file, format="skops" if form == "skops" else "pickle")
    return SavedModel(engine, {file: content, **(code or {})}, requires_trust=form == "pickle")


def _check(estimator: Any) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError) as error:
        raise BadInputError(f"the {type(estimator).__name__} is not fitted: {first_line(error)}") from error
    classes = getattr(estimator, "classes_", None)
    if isinstance(classes, list):
        raise BadInputError("a classifier of several targets at once cannot be packed: pack one classifier per target")


def _task(estimator: Any, labels: tuple[Scalar, ...]) -> Task | None:
    from sklearn.base import is_outlier_detector, is_regressor

    if labels:
        return Task.BINARY if len(labels) == 2 else Task.MULTICLASS
    return Task.REGRESSION if is_regressor(estimator) and not is_outlier_detector(estimator) else None
