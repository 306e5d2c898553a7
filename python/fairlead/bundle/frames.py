"""Frames between the data plane and a Python worker.

A frame is the header's length (u32), the body's length (u32), the header (JSON), the body; integers are little-endian.
The body holds tensors one after the other, each as many bytes as the header says: raw little-endian values in row-major
order, or for BYTES each element as its length (u32) and its UTF-8 bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np

from fairlead.bundle.sample import Array
from fairlead.bundle.tensors import NUMPY_TYPES, Tensors
from fairlead.schema.signature import Datatype, TensorSpec

_LENGTHS = struct.Struct("<II")
_ELEMENT = struct.Struct("<I")


class FrameError(Exception):
    """Raised when bytes are not a frame, or end within one."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A header and the bytes of its tensors."""

    header: Mapping[str, Any]
    body: bytes = b""


def write_frame(stream: BinaryIO, frame: Frame) -> None:
    """Write a frame and flush it."""
    header = json.dumps(frame.header, separators=(",", ":"), allow_nan=False).encode()
    stream.write(_LENGTHS.pack(len(header), len(frame.body)) + header)
    stream.write(frame.body)
    stream.flush()


def read_frame(stream: BinaryIO) -> Frame | None:
    """Read a frame; None at the end of the stream. Raises `FrameError` where it ends within a frame."""
    start = stream.read(_LENGTHS.size)
    if not start:
        return None
    if len(start) < _LENGTHS.size:
        raise FrameError("the stream ends within a frame's lengths")
    header_bytes, body_bytes = _LENGTHS.unpack(start)
    header = _exactly(stream, header_bytes)
    try:
        parsed = json.loads(header)
    except ValueError as error:
        raise FrameError(f"the header is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise FrameError("the header is not a JSON object")
    return Frame(parsed, _exactly(stream, body_bytes))


def _exactly(stream: BinaryIO, count: int) -> bytes:
    found = stream.read(count)
    if len(found) != count:
        raise FrameError(f"the stream ends after {len(found)} of {count} bytes")
    return found


def encode_tensors(tensors: Mapping[str, Array], specs: Sequence[TensorSpec]) -> tuple[list[dict[str, Any]], bytes]:
    """Return the headers and the body of tensors, in the order of `specs`, which they fit."""
    headers: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for spec in specs:
        values = tensors[spec.name]
        part = _encode(values, spec.datatype)
        headers.append(
            {"name": spec.name, "datatype": spec.datatype.value, "shape": list(values.shape), "bytes": len(part)}
        )
        parts.append(part)
    return headers, b"".join(parts)


def _encode(values: Array, datatype: Datatype) -> bytes:
    if datatype is not Datatype.BYTES:
        return np.ascontiguousarray(values).astype(_wire_type(datatype), copy=False).tobytes()
    texts = [str(text).encode() for text in values.reshape(-1)]
    return b"".join(_ELEMENT.pack(len(text)) + text for text in texts)


def _wire_type(datatype: Datatype) -> Any:
    return np.dtype(NUMPY_TYPES[datatype]).newbyteorder("<")


def decode_tensors(headers: Sequence[Mapping[str, Any]], body: bytes) -> Tensors:
    """Return the tensors that `encode_tensors` wrote.

    Raises `FrameError` where headers and body do not fit: a count of bytes, an unknown datatype, text not UTF-8.
    """
    tensors: Tensors = {}
    position = 0
    for header in headers:
        try:
            name, datatype = str(header["name"]), Datatype(header["datatype"])
            shape, size = [int(length) for length in header["shape"]], int(header["bytes"])
        except (KeyError, TypeError, ValueError) as error:
            raise FrameError(f"not a tensor's header: {error}") from error
        part = body[position : position + size]
        if len(part) != size:
            raise FrameError(f"tensor {name!r} has {len(part)} of {size} bytes")
        tensors[name] = _decode(name, datatype, shape, part)
        position += size
    if position != len(body):
        raise FrameError(f"{len(body) - position} bytes are left after the last tensor")
    return tensors


def _decode(name: str, datatype: Datatype, shape: list[int], part: bytes) -> Array:
    if any(length < 0 for length in shape):
        raise FrameError(f"tensor {name!r} has shape {shape}")
    if datatype is Datatype.BYTES:
        texts = _texts(name, part)
        if len(texts) != prod(shape):
            raise FrameError(f"tensor {name!r} has {len(texts)} elements, which do not fill {shape}")
        values = np.empty(len(texts), dtype=object)
        values[:] = texts
        return values.reshape(shape)
    wire = _wire_type(datatype)
    if len(part) != prod(shape) * wire.itemsize:
        raise FrameError(f"tensor {name!r} has {len(part)} bytes, which do not fill {shape} of {datatype.value}")
    # A copy: the model may write into its inputs, and `bytes` cannot be written to.
    return np.frombuffer(part, dtype=wire).astype(NUMPY_TYPES[datatype]).reshape(shape)


def _texts(name: str, part: bytes) -> list[str]:
    texts: list[str] = []
    position = 0
    while position < len(part):
        if len(part) - position < _ELEMENT.size:
            raise FrameError(f"tensor {name!r} ends within an element's length")
        (length,) = _ELEMENT.unpack_from(part, position)
        position += _ELEMENT.size
        text = part[position : position + length]
        if len(text) != length:
            raise FrameError(f"tensor {name!r} ends within an element")
        try:
            texts.append(text.decode())
        except UnicodeDecodeError as error:
            raise FrameError(f"tensor {name!r}, element {len(texts)}: not UTF-8") from error
        position += length
    return texts
