"""Columns to input tensors and outputs to the signature's tensors: one definition for packing, parity and serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlead.bundle.sample import Array, Column
from fairlead.errors import BadInputError, BundleError
from fairlead.schema.signature import Datatype, FeatureSpec, FeatureType, Scalar, Signature, TensorSpec

Tensors = dict[str, Array]
"""Tensor name -> values; BYTES tensors are object arrays of str."""

NUMPY_TYPES: Mapping[Datatype, Any] = {
    Datatype.BOOL: np.bool_,
    Datatype.UINT8: np.uint8,
    Datatype.UINT16: np.uint16,
    Datatype.UINT32: np.uint32,
    Datatype.UINT64: np.uint64,
    Datatype.INT8: np.int8,
    Datatype.INT16: np.int16,
    Datatype.INT32: np.int32,
    Datatype.INT64: np.int64,
    Datatype.FP32: np.float32,
    Datatype.FP64: np.float64,
    Datatype.BYTES: np.object_,
}
FLOATING = (Datatype.FP32, Datatype.FP64)


def datatype_of(values: Array) -> Datatype:
    """Return the protocol's datatype for an array; raises `BundleError` where there is none."""
    if values.dtype.kind in "OUS":
        return Datatype.BYTES
    for datatype, numpy_type in NUMPY_TYPES.items():
        if values.dtype == np.dtype(numpy_type):
            return datatype
    raise BundleError(f"an array of {values.dtype} has no datatype in the Open Inference Protocol")


def missing_marker(feature: FeatureSpec, datatype: Datatype) -> Scalar:
    """Return what a tensor of `datatype` holds where `feature` is missing."""
    if feature.missing is not None:
        return feature.missing
    if datatype in FLOATING:
        return float("nan")
    if datatype is Datatype.BYTES:
        return ""
    raise BadInputError(
        f"feature {feature.name!r} may be missing, but a {datatype.value} tensor has no value for that",
        hint="give the feature a `missing` value in the signature file",
    )


def to_tensors(signature: Signature, columns: Mapping[str, Column]) -> Tensors:
    """Return the input tensors that hold the columns, exactly as the data plane would fill them."""
    tensors: Tensors = {}
    for spec in signature.inputs:
        features = sorted((f for f in signature.features if f.tensor == spec.name), key=lambda f: f.column)
        filled = [_cells(feature, spec.datatype, columns[feature.name]) for feature in features]
        tensors[spec.name] = filled[0] if len(spec.shape) == 1 else np.stack(filled, axis=1)
    return tensors


def _cells(feature: FeatureSpec, datatype: Datatype, column: Column) -> Array:
    if datatype in (Datatype.FP32, Datatype.FP64):
        largest = np.finfo(NUMPY_TYPES[datatype]).max
        present = np.abs(column.present().astype(np.float64))
        if present.size and present.max() > largest:
            raise BadInputError(f"column {column.name!r} holds {present.max():g}, too large for {datatype.value}")
    cells = column.values.astype(NUMPY_TYPES[datatype])
    if column.missing.any():
        cells = cells.copy()
        cells[column.missing] = missing_marker(feature, datatype)
    return cells


def columns_from_records(signature: Signature, records: Sequence[Mapping[str, Scalar | None]]) -> dict[str, Column]:
    """Return the columns of named records; a name that is not there counts as missing.

    Raises `BadInputError` for an unknown name or a value of the wrong type.
    """
    known = {f.name for f in signature.features}
    for row, record in enumerate(records):
        for name in record:
            if name not in known:
                raise BadInputError(f"record {row}: the model has no feature {name!r}")
    return {f.name: _record_column(f, [record.get(f.name) for record in records]) for f in signature.features}


def _record_column(feature: FeatureSpec, cells: list[Scalar | None]) -> Column:
    for row, cell in enumerate(cells):
        if cell is not None and not _fits(feature.type, cell):
            raise BadInputError(f"record {row}: feature {feature.name!r} is {feature.type.value}, got {cell!r}")
    missing = np.array([cell is None for cell in cells], dtype=np.bool_)
    fill, kind = _FILLS[feature.type]
    values = np.array([fill if cell is None else cell for cell in cells], dtype=object)
    return Column(feature.name, feature.type, values.astype(kind), missing)


_FILLS: Mapping[FeatureType, tuple[Scalar, Any]] = {
    FeatureType.FLOAT: (float("nan"), np.float64),
    FeatureType.INTEGER: (0, np.int64),
    FeatureType.BOOLEAN: (False, np.bool_),
    FeatureType.STRING: ("", object),
}
_INT64 = range(-(2**63), 2**63)


def _fits(kind: FeatureType, cell: Scalar) -> bool:
    if isinstance(cell, str) or kind is FeatureType.STRING:
        return isinstance(cell, str) and kind is FeatureType.STRING
    if kind is FeatureType.INTEGER:
        return int(cell) == cell and int(cell) in _INT64 if np.isfinite(cell) else False
    return kind is FeatureType.FLOAT or cell in (0, 1)


def conform(outputs: Mapping[str, Array], specs: Sequence[TensorSpec], rows: int) -> Tensors:
    """Return the outputs cast to the signature's datatypes, in its order.

    Raises `ValueError` saying what is wrong: a name that is absent, another number of rows, a shape or a value that
    does not fit.
    """
    conformed: Tensors = {}
    for spec in specs:
        if spec.name not in outputs:
            raise ValueError(f"the model gave no output {spec.name!r}, only {sorted(outputs)}")
        values = np.asarray(outputs[spec.name])
        if values.ndim == 0 or values.shape[0] != rows:
            got = "a scalar" if values.ndim == 0 else f"{values.shape[0]} rows"
            raise ValueError(f"output {spec.name!r}: {got} for a batch of {rows}")
        conformed[spec.name] = _cast(_reshape(values, spec), spec)
    return conformed


def _reshape(values: Array, spec: TensorSpec) -> Array:
    if values.ndim == 2 and values.shape[1] == 1 and len(spec.shape) == 1:
        return values[:, 0]
    if values.ndim == 1 and spec.shape == [-1, 1]:
        return values[:, None]
    fits = values.ndim == len(spec.shape) and all(
        want in (-1, got) for want, got in zip(spec.shape[1:], values.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(f"output {spec.name!r}: shape {list(values.shape)} does not fit {spec.shape}")
    return values


def _cast(values: Array, spec: TensorSpec) -> Array:
    if spec.datatype is Datatype.BYTES:
        if not all(isinstance(item, str) for item in values.reshape(-1).tolist()):
            raise ValueError(f"output {spec.name!r}: {values.dtype} where strings are promised")
        return values.astype(object)
    target = np.dtype(NUMPY_TYPES[spec.datatype])
    if values.dtype == target:
        return np.ascontiguousarray(values)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"output {spec.name!r}: {values.dtype} where {spec.datatype.value} is promised")
    if target.kind in "biu" and values.dtype.kind == "f" and not (values == np.floor(values)).all():
        raise ValueError(f"output {spec.name!r}: fractions where {spec.datatype.value} is promised")
    return np.ascontiguousarray(values.astype(target))
