"""The typed signature of a model: what it takes, what it gives, what its answer means."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from fairlead.schema.base import Document

Scalar = bool | int | float | str
"""A JSON scalar."""


class Datatype(StrEnum):
    """Open Inference Protocol tensor datatypes that have a JSON form."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"


class FeatureType(StrEnum):
    """What a person would call the column."""

    FLOAT = "float"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"


class Task(StrEnum):
    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class TensorSpec(Document):
    """One named tensor. `shape[0]` is -1, the batch; a later -1 is a variable dimension."""

    name: str = Field(min_length=1)
    datatype: Datatype
    shape: list[int] = Field(min_length=1)

    @model_validator(mode="after")
    def _batch_first(self) -> Self:
        if self.shape[0] != -1:
            raise ValueError(f"tensor {self.name!r}: shape[0] must be -1 (the batch), got {self.shape[0]}")
        if any(d == 0 or d < -1 for d in self.shape):
            raise ValueError(f"tensor {self.name!r}: dimensions must be positive or -1, got {self.shape}")
        return self


class FeatureSpec(Document):
    """One named column of one input tensor, and what may stand in it.

    A tensor that carries features has shape `[-1]`, `[-1, 1]` or `[-1, k]`, each of its columns one feature.
    """

    name: str = Field(min_length=1)
    type: FeatureType
    tensor: str
    column: int = Field(default=0, ge=0)
    nullable: bool = False
    minimum: float | None = None
    """Smallest allowed value, inclusive; numbers only."""
    maximum: float | None = None
    """Largest allowed value, inclusive; numbers only."""
    categories: list[str] | None = None
    """Allowed values; strings only."""
    missing: Scalar | None = None
    """What the tensor holds where a nullable value is missing; None means NaN (floating tensors) or "" (BYTES)."""
    impute: Scalar | None = None
    """What replaces an invalid value where the endpoint's validation is `impute`; None: it cannot be imputed."""


class Decision(Document):
    """How a model's outputs become one score and one decision per row."""

    task: Task
    score_output: str
    """The output tensor that holds the score (binary, regression) or the class scores (multiclass)."""
    score_column: int = Field(default=0, ge=0)
    """Its column for binary and regression; for multiclass, class k is column k."""
    threshold: float | None = None
    """Binary only: the positive class is decided where score >= threshold."""
    labels: list[Scalar] = Field(default_factory=list)
    """Binary: [negative, positive]; multiclass: one per class; regression: empty."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.task is Task.BINARY and (self.threshold is None or len(self.labels) != 2):
            raise ValueError("a binary decision needs a threshold and two labels")
        if self.task is Task.MULTICLASS and len(self.labels) < 2:
            raise ValueError("a multiclass decision needs its labels")
        if self.task is Task.REGRESSION and self.labels:
            raise ValueError("a regression has no labels")
        return self


class Signature(Document):
    """Everything a caller and the data plane must know to use a model."""

    inputs: list[TensorSpec] = Field(min_length=1)
    features: list[FeatureSpec] = Field(default_factory=list)
    """Named columns, or empty for a model that takes raw tensors (images, embeddings)."""
    outputs: list[TensorSpec] = Field(min_length=1)
    decision: Decision | None = None

    @model_validator(mode="after")
    def _features_cover_inputs(self) -> Self:
        for kind, names in (
            ("input", [t.name for t in self.inputs]),
            ("output", [t.name for t in self.outputs]),
            ("feature", [f.name for f in self.features]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"{kind} names must be unique, got {names}")
        if self.features:
            self._check_features()
        if self.decision is not None and self.decision.score_output not in {t.name for t in self.outputs}:
            raise ValueError(f"decision.score_output {self.decision.score_output!r} is not an output")
        return self

    def _check_features(self) -> None:
        columns: dict[str, set[int]] = {t.name: set() for t in self.inputs}
        types = {t.name: t.datatype for t in self.inputs}
        for feature in self.features:
            if feature.tensor not in columns:
                raise ValueError(f"feature {feature.name!r}: no input tensor {feature.tensor!r}")
            if feature.column in columns[feature.tensor]:
                raise ValueError(f"feature {feature.name!r}: column {feature.column} is taken twice")
            if (feature.type is FeatureType.STRING) != (types[feature.tensor] is Datatype.BYTES):
                raise ValueError(f"feature {feature.name!r}: strings and BYTES tensors go together")
            columns[feature.tensor].add(feature.column)
        for tensor in self.inputs:
            width = 1 if len(tensor.shape) == 1 else tensor.shape[1]
            if len(tensor.shape) > 2 or width < 1:
                raise ValueError(f"tensor {tensor.name!r}: one that carries features has shape [-1] or [-1, k]")
            if columns[tensor.name] != set(range(width)):
                raise ValueError(f"tensor {tensor.name!r}: its {width} columns must be one feature each")
