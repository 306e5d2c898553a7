"""Bodies of the Open Inference Protocol, and what is read back from an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMPY: Mapping[str, Any] = {
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
"""Datatype -> numpy type; every datatype that has a JSON form."""


def tensor(name: str, datatype: str, values: Any, shape: Sequence[int] | None = None) -> dict[str, Any]:
    """Return one input; its shape is that of `values`, unless another one is to be claimed."""
    array = np.asarray(values, dtype=NUMPY[datatype])
    return {
        "name": name,
        "datatype": datatype,
        "shape": list(array.shape if shape is None else shape),
        "data": array.reshape(-1).tolist(),
    }


def body(*inputs: Mapping[str, Any], **members: Any) -> bytes:
    """Return an infer request."""
    return json.dumps({"inputs": list(inputs), **members}).encode()


def outputs(answer: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the outputs of an answer by name, in their shapes."""
    return {
        output["name"]: np.asarray(output["data"], dtype=NUMPY[output["datatype"]]).reshape(output["shape"])
        for output in answer["outputs"]
    }
