"""scikit-learn estimators and pipelines to ONNX by skl2onnx, with LightGBM and XGBoost models inside them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from fairlead.bundle.convert.graph import OPSETS, normalised
from fairlead.bundle.runtime.sklearn import parts
from fairlead.bundle.sample import Array, first_line
from fairlead.errors import ConversionError
from fairlead.schema.signature import Datatype, Signature, TensorSpec


def convert_estimator(estimator: Any, signature: Signature, outputs: Sequence[str]) -> bytes:
    """Return the estimator as an ONNX graph of the signature's inputs; raises `ConversionError`."""
    from skl2onnx import convert_sklearn

    _register_boosters()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = with_text_for_missing(estimator)
            model = convert_sklearn(
                given,
                name="fairlead",
                initial_types=[(spec.name, _tensor_type(spec)) for spec in signature.inputs],
                target_opset=OPSETS,
                options={id(given): {"zipmap": False}} if len(outputs) > 1 else None,
                custom_conversion_functions=_histogram_boosting(),
            )
    except Exception as error:  # a converter can raise anything
        raise ConversionError(f"skl2onnx: {first_line(error)}") from error
    _restore_input_names(model, [spec.name for spec in signature.inputs])
    return normalised(model, outputs)


def _restore_input_names(model: Any, names: Sequence[str]) -> None:
    """Give the graph's inputs the signature's names: skl2onnx makes identifiers of them (`hours-per-week`)."""
    inputs = list(model.graph.input)
    if len(inputs) != len(names):
        raise ConversionError(f"skl2onnx: the graph takes {len(inputs)} inputs, the signature has {len(names)}")
    renamed = {given.name: name for given, name in zip(inputs, names, strict=True) if given.name != name}
    for given in inputs:
        given.name = renamed.get(given.name, given.name)
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)


def with_text_for_missing(estimator: Any) -> Any:
    """Return a copy that takes "" for a missing string: a graph's strings cannot be missing.

    Where a real "" was something else in training, the parity check tells.
    """
    copy = deepcopy(estimator)
    for part in parts(copy):
        kind = type(part).__name__
        if kind == "SimpleImputer" and _is_missing(part.missing_values) and _holds_text(part.statistics_):
            part.missing_values = ""
        elif kind == "OneHotEncoder":
            part.categories_ = [
                np.array(["" if _is_missing(item) else item for item in categories], dtype=object)
                if _holds_text(categories)
                else categories
                for categories in part.categories_
            ]
    return copy


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _holds_text(values: Array) -> bool:
    return values.dtype.kind == "O" and any(isinstance(value, str) for value in values)


class _PlainContainer:
    """A converter's container that writes truth values as the integers which ONNX attributes are."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def add_node(self, *arguments: Any, **attributes: Any) -> None:
        plain = {name: self._plain(value) for name, value in attributes.items()}
        self._inner.add_node(*arguments, **plain)

    @staticmethod
    def _plain(value: Any) -> Any:
        if (
            isinstance(value, list)
            and value
            and all(isinstance(item, bool | int | np.bool_ | np.integer) for item in value)
        ):
            return [int(item) for item in value]
        return value


def _histogram_boosting() -> dict[type, Callable[..., None]]:
    """Return converters for the histogram boosters: skl2onnx's own give onnx booleans, which it refuses."""
    from skl2onnx.common._registration import get_converter
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    def plain(name: str) -> Callable[..., None]:
        own = get_converter(name)
        return lambda scope, operator, container: own(scope, operator, _PlainContainer(container))

    return {
        kind: plain(f"Sklearn{kind.__name__}")
        for kind in (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
    }


def _tensor_type(spec: TensorSpec) -> Any:
    from skl2onnx.common import data_types as types

    kinds = {
        Datatype.FP32: types.FloatTensorType,
        Datatype.FP64: types.DoubleTensorType,
        Datatype.INT64: types.Int64TensorType,
        Datatype.BOOL: types.BooleanTensorType,
        Datatype.BYTES: types.StringTensorType,
    }
    return kinds[spec.datatype]([None, *spec.shape[1:]])


def _register_boosters() -> None:
    """Teach skl2onnx the boosters, if their libraries are in use: a pipeline may end in one."""
    from skl2onnx import update_registered_converter

    for library in ("lightgbm", "xgboost"):
        if library in sys.modules:
            for arguments, options in _boosters(library):
                update_registered_converter(*arguments, options=options, overwrite=True)


def _boosters(library: str) -> list[tuple[tuple[Any, ...], dict[str, Any] | None]]:
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes as classifier,
    )
    from skl2onnx.common.shape_calculator import (
        calculate_linear_regressor_output_shapes as regressor,
    )

    probabilities = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    if library == "lightgbm":
        import lightgbm
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

        return [
            ((lightgbm.LGBMClassifier, "LightGbmLGBMClassifier", classifier, convert_lightgbm), probabilities),
            ((lightgbm.LGBMRegressor, "LightGbmLGBMRegressor", regressor, convert_lightgbm), {"split": None}),
        ]
    import xgboost
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost

    return [
        ((xgboost.XGBClassifier, "XGBoostXGBClassifier", classifier, convert_xgboost), probabilities),
        ((xgboost.XGBRegressor, "XGBoostXGBRegressor", regressor, convert_xgboost), None),
    ]
