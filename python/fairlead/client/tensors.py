"""numpy arrays as tensors of the Open Inference Protocol's JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairlead.errors import BadInputError

NUMPY_TYPES: Mapping[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
"""Datatype -> numpy's; BYTES are Python strings."""

_DATATYPES = {np.dtype(kind): name for name, kind in NUMPY_TYPES.items()}


def encode(name: str, values: Any) -> dict[str, Any]:
    """Return `values` (an array, or what numpy makes one of) as the input `name`.

    Raises `BadInputError` for a type that the protocol does not have, and for NaN and infinities, which JSON lacks.
    """
    array = np.asarray(values)
    if array.dtype.kind in "US":
        array = array.astype(object)
    datatype = _DATATYPES.get(array.dtype)
    if datatype is None:
        raise BadInputError(
            f"input {name!r}: numpy type {array.dtype} has no datatype in the protocol",
            hint=f"convert it to one of {', '.join(sorted(kind.__name__ for kind in NUMPY_TYPES.values()))}",
        )
    if array.ndim == 0:
        raise BadInputError(f"input {name!r}: a tensor is wanted, its first dimension the rows; this is one value")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise BadInputError(
            f"input {name!r}: {array[where]} at {list(where)} is not JSON",
            hint="missing values go through `predict`, as None",
        )
    data = [_text(name, item) for item in array.flat] if datatype == "BYTES" else array.ravel().tolist()
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": data}


def decode(output: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """Return one output as an array of its shape; a null in a floating tensor is NaN.

    Raises `KeyError`, `TypeError` or `ValueError` where `output` is not a tensor.
    """
    array: np.ndarray[Any, Any] = np.array(output["data"], dtype=NUMPY_TYPES[output["datatype"]])
    return array.reshape(output["shape"])


def _text(name: str, item: Any) -> str:
    if isinstance(item, str):
        return item
    try:
        return bytes.decode(item)
    except (TypeError, UnicodeDecodeError) as error:
        raise BadInputError(f"input {name!r}: {item!r} is not text: {error}") from error
