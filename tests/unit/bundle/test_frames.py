"""The worker's frames: what is written is read, and what is not a frame is refused."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fairlead.bundle.frames import Frame, FrameError, decode_tensors, encode_tensors, read_frame, write_frame
from fairlead.bundle.sample import Array
from fairlead.bundle.tensors import NUMPY_TYPES
from fairlead.schema.signature import Datatype, TensorSpec

NUMERIC = [datatype for datatype in Datatype if datatype is not Datatype.BYTES]
SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)


@st.composite
def tensors(draw: st.DrawFn) -> tuple[Datatype, Array]:
    datatype = draw(st.sampled_from(list(Datatype)))
    if datatype is Datatype.BYTES:
        return datatype, draw(arrays.arrays(object, SHAPES, elements=st.text(max_size=8), fill=st.nothing()))
    return datatype, draw(arrays.arrays(NUMPY_TYPES[datatype], SHAPES))


@given(st.lists(tensors(), max_size=4))
def test_tensors_survive_a_round_trip(given_tensors: list[tuple[Datatype, Array]]) -> None:
    specs = [
        TensorSpec(name=f"t{number}", datatype=datatype, shape=[-1] * values.ndim)
        for number, (datatype, values) in enumerate(given_tensors)
    ]
    values = {spec.name: tensor for spec, (_, tensor) in zip(specs, given_tensors, strict=True)}
    headers, body = encode_tensors(values, specs)
    assert sum(header["bytes"] for header in headers) == len(body)
    decoded = decode_tensors(headers, body)
    assert list(decoded) == [spec.name for spec in specs]
    for name, tensor in values.items():
        assert decoded[name].dtype == tensor.dtype
        np.testing.assert_array_equal(decoded[name], tensor)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)), st.binary(max_size=50))
def test_a_frame_survives_a_round_trip(header: dict[str, int | str], body: bytes) -> None:
    stream = io.BytesIO()
    write_frame(stream, Frame(header, body))
    write_frame(stream, Frame({"next": 1}))
    stream.seek(0)
    assert read_frame(stream) == Frame(header, body)
    assert read_frame(stream) == Frame({"next": 1})
    assert read_frame(stream) is None


@given(st.integers(min_value=1, max_value=60))
def test_a_cut_frame_is_an_error_and_never_a_frame(cut: int) -> None:
    stream = io.BytesIO()
    write_frame(stream, Frame({"id": 1, "inputs": []}, b"0123456789"))
    whole = stream.getvalue()
    with pytest.raises(FrameError):
        read_frame(io.BytesIO(whole[: max(1, len(whole) - cut)]))


@given(st.binary(max_size=80))
def test_any_bytes_are_a_frame_an_end_or_a_frame_error(junk: bytes) -> None:
    try:
        found = read_frame(io.BytesIO(junk))
    except FrameError:
        return
    assert (found is None) == (junk == b"")


def header(**changes: object) -> dict[str, Any]:
    return {"name": "x", "datatype": "FP32", "shape": [2], "bytes": 8} | changes


@pytest.mark.parametrize(
    ("headers", "body", "words"),
    [
        ([header()], b"\0" * 7, "7 of 8 bytes"),
        ([header()], b"\0" * 9, "left after the last tensor"),
        ([header(shape=[3])], b"\0" * 8, "do not fill"),
        ([header(shape=[-2])], b"\0" * 8, "has shape"),
        ([header(datatype="FP16")], b"\0" * 8, "not a tensor's header"),
        ([{"name": "x"}], b"", "not a tensor's header"),
        ([header(datatype="BYTES", shape=[1], bytes=3)], b"\1\0\0", "within an element's length"),
        ([header(datatype="BYTES", shape=[1], bytes=5)], struct.pack("<I", 2) + b"a", "within an element"),
        ([header(datatype="BYTES", shape=[1], bytes=5)], struct.pack("<I", 1) + b"\xff", "not UTF-8"),
        ([header(datatype="BYTES", shape=[2], bytes=5)], struct.pack("<I", 1) + b"a", "do not fill"),
    ],
)
def test_what_does_not_fit_is_named(headers: list[dict[str, Any]], body: bytes, words: str) -> None:
    with pytest.raises(FrameError, match=words):
        decode_tensors(headers, body)


def test_the_bytes_are_little_endian_and_row_major() -> None:
    specs = [TensorSpec(name="x", datatype="FP32", shape=[-1, 2]), TensorSpec(name="s", datatype="BYTES", shape=[-1])]
    values = {"x": np.array([[1.0, 2.0]], dtype=np.float32), "s": np.array(["é"], dtype=object)}
    _, body = encode_tensors(values, specs)
    assert body == struct.pack("<ff", 1.0, 2.0) + struct.pack("<I", 2) + "é".encode()
