"""`golden.json`: sample rows and the answers the bundle gave when it was made, for warm-up and a self-check."""

from __future__ import annotations

from math import prod
from typing import Self

from pydantic import Field, model_validator

from fairlead.schema.base import Document
from fairlead.schema.signature import Datatype, Scalar


class GoldenTensor(Document):
    """One tensor in row-major order; `shape[0]` is the number of rows."""

    name: str = Field(min_length=1)
    datatype: Datatype
    shape: list[int] = Field(min_length=1)
    data: list[Scalar]

    @model_validator(mode="after")
    def _data_fills_shape(self) -> Self:
        if prod(self.shape) != len(self.data):
            raise ValueError(f"tensor {self.name!r}: shape {self.shape} does not hold {len(self.data)} values")
        return self


class Golden(Document):
    """Inputs (as `rows` where the signature has features, else as `tensors`) and the outputs expected for them."""

    rows: list[dict[str, Scalar | None]] = Field(default_factory=list)
    """One record per row: feature -> value, None where it is missing."""
    tensors: list[GoldenTensor] = Field(default_factory=list)
    """The inputs of a model that takes raw tensors."""
    outputs: list[GoldenTensor] = Field(min_length=1)
    """In the order of the signature; the first dimension is the number of rows."""

    @model_validator(mode="after")
    def _one_kind_of_input(self) -> Self:
        if bool(self.rows) == bool(self.tensors):
            raise ValueError("golden inputs are either rows or tensors")
        rows = len(self.rows) or self.tensors[0].shape[0]
        for tensor in [*self.tensors, *self.outputs]:
            if tensor.shape[0] != rows:
                raise ValueError(f"tensor {tensor.name!r}: {tensor.shape[0]} rows where {rows} are expected")
        return self
