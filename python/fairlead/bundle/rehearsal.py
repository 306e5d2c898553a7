"""Run a Python bundle once in a fresh worker, before it gets its name: what lacks a file or a module fails here."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from fairlead.bundle.frames import Frame, FrameError, decode_tensors, encode_tensors, read_frame, write_frame
from fairlead.bundle.opened import Bundle, open_bundle
from fairlead.bundle.sample import Array
from fairlead.bundle.tensors import NUMPY_TYPES, Tensors, columns_from_records, to_tensors
from fairlead.errors import BundleError
from fairlead.schema.golden import Golden, GoldenTensor
from fairlead.schema.signature import Datatype

_SECONDS = 120
_TOLERANCE = 1e-6


def rehearse(folder: Path) -> None:
    """Answer the golden rows in a new process that has only the bundle and the installed packages.

    Raises `BundleError` where that fails, or where the answers are not those of the model that was packed.
    """
    bundle = open_bundle(folder)
    golden = bundle.golden()
    outputs = _ask(bundle, golden_inputs(bundle, golden))
    for expected in golden.outputs:
        if not same(outputs[expected.name], expected):
            raise BundleError(
                f"in a fresh process the bundle answers {expected.name!r} otherwise than the model that was packed",
                hint="does it depend on state outside its files (globals, the time, random numbers)?",
            )


def golden_inputs(bundle: Bundle, golden: Golden) -> Tensors:
    """Return the input tensors of golden rows."""
    if golden.rows:
        return to_tensors(bundle.signature, columns_from_records(bundle.signature, golden.rows))
    return {tensor.name: golden_array(tensor) for tensor in golden.tensors}


def golden_array(tensor: GoldenTensor) -> Array:
    """Return a golden tensor's values as an array."""
    return np.array(tensor.data, dtype=NUMPY_TYPES[tensor.datatype]).reshape(tensor.shape)


def same(values: Array, expected: GoldenTensor) -> bool:
    """Tell whether values are the expected ones, numbers within a millionth of the largest of them or of 1."""
    wanted = golden_array(expected)
    if values.shape != wanted.shape:
        return False
    if expected.datatype is Datatype.BYTES:
        return bool((values == wanted).all())
    difference = np.abs(values.astype(np.float64) - wanted.astype(np.float64))
    return bool(difference.max() <= _TOLERANCE * max(1.0, float(np.abs(wanted.astype(np.float64)).max())))


def _ask(bundle: Bundle, inputs: Tensors) -> Tensors:
    headers, body = encode_tensors(inputs, bundle.signature.inputs)
    request = Frame({"id": 1, "inputs": headers}, body)
    command = [sys.executable, "-m", "fairlead.worker", "--bundle", str(bundle.path.resolve()), "--trust-pickle"]
    with tempfile.TemporaryFile() as sent, tempfile.TemporaryFile() as answered, tempfile.TemporaryDirectory() as away:
        write_frame(sent, request)
        sent.seek(0)
        try:
            done = subprocess.run(
                command,
                stdin=sent,
                stdout=answered,
                stderr=subprocess.PIPE,
                cwd=away,  # not here, where the model's modules lie about
                env=_environment(),
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BundleError(f"the bundle's worker did not answer {_SECONDS} s") from error
        answered.seek(0)
        return _outputs(read_frame(answered), read_frame(answered), done.stderr.decode(errors="replace"))


def _environment() -> dict[str, str]:
    """Return this process's environment with absolute import paths, `fairlead`'s own among them."""
    home = str(Path(__file__).resolve().parents[2])
    given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    kept = [part for part in given if Path(part).is_absolute() and part != str(Path.cwd())]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*kept, home])}


def _outputs(ready: Frame | None, reply: Frame | None, talk: str) -> Tensors:
    if ready is None or "error" in ready.header:
        said = talk.strip().splitlines()[-1:] if ready is None else [str(ready.header["error"])]
        raise BundleError(
            f"the bundle does not load in a fresh process: {''.join(said)}",
            hint="code that the model needs must lie beside its module, or be an installed package",
        )
    if reply is None or "error" in reply.header:
        said = talk.strip().splitlines()[-1:] if reply is None else [str(reply.header["error"])]
        raise BundleError(f"the bundle does not answer in a fresh process: {''.join(said)}")
    try:
        return decode_tensors(reply.header["outputs"], reply.body)
    except FrameError as error:
        raise BundleError(f"the bundle's worker answered what is no frame: {error}") from error
