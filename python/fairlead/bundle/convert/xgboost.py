"""XGBoost to ONNX by onnxmltools."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from fairlead.bundle.convert.categories import look_up_categories
from fairlead.bundle.convert.graph import OPSETS, ensemble_node, normalised, relabel
from fairlead.bundle.runtime.xgboost import category_codes, objective_of
from fairlead.bundle.sample import first_line
from fairlead.bundle.sources.source import MATRIX_NAME
from fairlead.errors import ConversionError
from fairlead.schema.signature import Scalar, Signature


def convert_booster(booster: Any, signature: Signature, labels: Sequence[Scalar], outputs: Sequence[str]) -> bytes:
    """Return the booster as an ONNX graph of the signature's inputs; raises `ConversionError`.

    Splits are `x < t` with t a float32 in XGBoost itself, so thresholds need no rounding.
    """
    from onnxmltools.convert import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    inputs = [(MATRIX_NAME, FloatTensorType([None, booster.num_features()]))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = convert_xgboost(
                _estimator(booster, classifier=bool(labels)),
                name="fairlead",
                initial_types=inputs,
                target_opset=OPSETS[""],
            )
    except Exception as error:  # a converter can raise anything
        raise ConversionError(f"onnxmltools: {first_line(error)}") from error
    ensemble_node(model)
    if labels:
        relabel(model, labels)
    look_up_categories(model, signature, category_codes(booster))
    return normalised(model, outputs)


def _estimator(booster: Any, *, classifier: bool) -> Any:
    """Return the booster inside an estimator: from a bare booster the converter guesses the task."""
    import xgboost

    plain = booster.copy()
    plain.feature_names = None  # the converter knows only f0, f1, ...
    if plain.feature_types is not None:
        # In the dump that the converter reads, a boolean's split has no threshold and an integer's is rounded.
        plain.feature_types = [kind if kind == "c" else "float" for kind in plain.feature_types]
    if objective_of(plain) == "multi:softmax":
        plain.set_param({"objective": "multi:softprob"})  # the same trees, answered as probabilities
    estimator = xgboost.XGBClassifier() if classifier else xgboost.XGBRegressor()
    estimator.load_model(bytearray(plain.save_raw("ubj")))
    estimator.n_estimators = booster.num_boosted_rounds()
    return estimator
