"""Columns and records to tensors, and outputs held to the signature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlead.bundle.sample import Array, read_sample
from fairlead.bundle.tensors import columns_from_records, conform, to_tensors
from fairlead.errors import BadInputError
from fairlead.schema.signature import FeatureSpec, Scalar, Signature, TensorSpec

SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="numbers", datatype="FP32", shape=[-1, 2]),
        TensorSpec(name="s", datatype="BYTES", shape=[-1, 1]),
        TensorSpec(name="i", datatype="INT64", shape=[-1]),
    ],
    features=[
        FeatureSpec(name="b", type="float", tensor="numbers", column=1, nullable=True),
        FeatureSpec(name="a", type="boolean", tensor="numbers", column=0),
        FeatureSpec(name="s", type="string", tensor="s", nullable=True, missing="none"),
        FeatureSpec(name="i", type="integer", tensor="i", nullable=True, missing=-1),
    ],
    outputs=[TensorSpec(name="p", datatype="FP32", shape=[-1, 2])],
)


def test_columns_fill_tensors_by_place_and_missing_values_as_the_signature_says() -> None:
    sample = read_sample(
        {
            "a": np.array([True, False]),
            "b": np.array([0.1, np.nan]),
            "s": np.array(["x", None], dtype=object),
            "i": [7, None],
        }
    )
    tensors = to_tensors(SIGNATURE, sample.columns)
    np.testing.assert_array_equal(tensors["numbers"], np.array([[1, 0.1], [0, np.nan]], dtype=np.float32))
    assert tensors["numbers"].dtype == np.float32
    assert tensors["s"].tolist() == [["x"], ["none"]]
    assert tensors["i"].tolist() == [7, -1]


def test_records_are_the_same_columns_and_an_absent_name_is_missing() -> None:
    columns = columns_from_records(SIGNATURE, [{"a": True, "b": 0.5, "s": "x", "i": 3}, {"a": 0}])
    tensors = to_tensors(SIGNATURE, columns)
    assert tensors["s"].tolist() == [["x"], ["none"]]
    assert tensors["i"].tolist() == [3, -1]
    assert np.isnan(tensors["numbers"][1, 1])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"zzz": 1}, "record 0: the model has no feature 'zzz'"),
        ({"b": "x"}, "feature 'b' is float, got 'x'"),
        ({"s": 1}, "feature 's' is string, got 1"),
        ({"i": 1.5}, r"feature 'i' is integer, got 1\.5"),
        ({"i": 1e30}, r"feature 'i' is integer, got 1e\+30"),
        ({"i": float("inf")}, "feature 'i' is integer, got inf"),
        ({"a": 2}, "feature 'a' is boolean, got 2"),
    ],
)
def test_a_record_that_does_not_fit_is_named(record: dict[str, Scalar], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        columns_from_records(SIGNATURE, [record])


def test_a_number_that_float32_cannot_hold_is_named() -> None:
    columns = columns_from_records(SIGNATURE, [{"a": 1, "b": 1e39}])
    with pytest.raises(BadInputError, match="column 'b' holds 1e\\+39, too large for FP32"):
        to_tensors(SIGNATURE, columns)


def test_an_integer_tensor_without_a_missing_value_cannot_be_missing() -> None:
    feature = SIGNATURE.features[3].model_copy(update={"missing": None})
    signature = SIGNATURE.model_copy(update={"features": [*SIGNATURE.features[:3], feature]})
    with pytest.raises(BadInputError, match="feature 'i' may be missing, but a INT64 tensor has no value for that"):
        to_tensors(signature, columns_from_records(signature, [{"a": 1}]))


def spec(datatype: str, shape: list[int]) -> list[TensorSpec]:
    return [TensorSpec(name="p", datatype=datatype, shape=shape)]


@pytest.mark.parametrize(
    ("values", "specs", "expected"),
    [
        (np.array([1.0, 2.0]), spec("FP32", [-1]), np.array([1, 2], np.float32)),
        (np.array([[1.0], [2.0]]), spec("FP32", [-1]), np.array([1, 2], np.float32)),
        (np.array([1.0, 2.0]), spec("FP64", [-1, 1]), np.array([[1.0], [2.0]])),
        (np.array([1.0, 2.0]), spec("INT64", [-1]), np.array([1, 2])),
        (np.array([True, False]), spec("INT64", [-1]), np.array([1, 0])),
        (np.array(["a", "b"]), spec("BYTES", [-1]), np.array(["a", "b"], dtype=object)),
        (np.ones((2, 5)), spec("FP64", [-1, -1]), np.ones((2, 5))),
    ],
)
def test_outputs_that_fit_are_cast(values: Array, specs: list[TensorSpec], expected: Array) -> None:
    found = conform({"p": values, "extra": values}, specs, 2)
    assert list(found) == ["p"]
    assert found["p"].dtype == expected.dtype
    np.testing.assert_array_equal(found["p"], expected)


@pytest.mark.parametrize(
    ("values", "specs", "words"),
    [
        (np.float64(1), spec("FP32", [-1]), "a scalar for a batch of 2"),
        (np.ones(3), spec("FP32", [-1]), "3 rows for a batch of 2"),
        (np.ones((2, 3)), spec("FP32", [-1, 2]), r"shape \[2, 3\] does not fit \[-1, 2\]"),
        (np.array([0.5, 1]), spec("INT64", [-1]), "fractions where INT64 is promised"),
        (np.array(["a", "b"]), spec("FP32", [-1]), "<U1 where FP32 is promised"),
        (np.array([1, 2]), spec("BYTES", [-1]), "int64 where strings are promised"),
    ],
)
def test_outputs_that_do_not_fit_are_named(values: Any, specs: list[TensorSpec], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        conform({"p": values}, specs, 2)


def test_an_absent_output_is_named() -> None:
    with pytest.raises(ValueError, match="no output 'p', only \\['q'\\]"):
        conform({"q": np.ones(2)}, spec("FP32", [-1]), 2)
