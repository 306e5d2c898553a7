"""The golden document refuses what does not hold together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fairlead.schema.golden import Golden, GoldenTensor

OUTPUT = {"name": "p", "datatype": "FP32", "shape": [1], "data": [0.5]}


def test_rows_or_tensors_with_as_many_answers() -> None:
    assert Golden.model_validate({"rows": [{"a": None}], "outputs": [OUTPUT]}).tensors == []
    assert Golden.model_validate({"tensors": [OUTPUT], "outputs": [OUTPUT]}).rows == []


@pytest.mark.parametrize(
    "document",
    [
        {"outputs": [OUTPUT]},
        {"rows": [{"a": 1}], "tensors": [OUTPUT], "outputs": [OUTPUT]},
        {"rows": [{"a": 1}, {"a": 2}], "outputs": [OUTPUT]},
        {"rows": [{"a": 1}], "outputs": []},
    ],
)
def test_anything_else_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Golden.model_validate(document)


def test_data_must_fill_the_shape() -> None:
    with pytest.raises(ValidationError, match="does not hold 1 values"):
        GoldenTensor(name="p", datatype="FP32", shape=[2], data=[0.5])
