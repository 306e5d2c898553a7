"""One Python model in a process of its own: `python -m fairlead.worker --bundle DIR [--trust-pickle]`.

Speaks frames (`fairlead.bundle.frames`) on its stdin and stdout. First it writes `{"ready": true, "pid": N}`, or
`{"error": "...", "code": "..."}` and exits with 1; the code is one of the error catalogue. Then each request
`{"id": n, "inputs": [...]}` gets `{"id": n, "outputs": [...]}` or `{"id": n, "error": "ValueError: ..."}`, and the end
of stdin ends the process. The environment variable FAIRLEAD_WORKER_MEMORY_MB limits what may be allocated after the
model is loaded.
"""

from __future__ import annotations

import os
import sys

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    # Read when numpy and the model's library are imported. The pool of workers is what runs in parallel.
    os.environ.setdefault(_variable, "1")
sys.dont_write_bytecode = True  # a bundle is immutable: importing its code must not add a file to it

# E402 throughout: the variables above must be set before numpy is imported.
import argparse  # noqa: E402
import ctypes  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, BinaryIO  # noqa: E402

from fairlead.bundle.frames import Frame, FrameError, decode_tensors, encode_tensors, read_frame, write_frame  # noqa: E402
from fairlead.bundle.opened import open_bundle  # noqa: E402
from fairlead.bundle.predictor import Predictor  # noqa: E402
from fairlead.bundle.sample import first_line  # noqa: E402
from fairlead.bundle.verify import verify  # noqa: E402
from fairlead.errors import FairleadError  # noqa: E402
from fairlead.schema.signature import Signature  # noqa: E402

MEMORY_VARIABLE = "FAIRLEAD_WORKER_MEMORY_MB"
PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""
_MEGABYTE = 1024 * 1024


class LoadError(Exception):
    """Raised when the bundle cannot be served; `code` is of the error catalogue."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def main(arguments: list[str] | None = None) -> int:
    """Load the bundle, answer requests until stdin ends; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fairlead.worker", description="Run one bundle's Python model.")
    parser.add_argument("--bundle", required=True, type=Path, help="folder of the bundle")
    parser.add_argument("--trust-pickle", action="store_true", help="load a model that has to be unpickled")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    end_with_parent()
    requests, replies = take_streams()
    try:
        predictor = load(options.bundle, trust_pickle=options.trust_pickle)
        limit_memory(os.environ.get(MEMORY_VARIABLE))
    except LoadError as error:
        write_frame(replies, Frame({"error": str(error), "code": error.code}))
        return 1
    try:
        write_frame(replies, Frame({"ready": True, "pid": os.getpid()}))
        serve(predictor, requests, replies)
    except BrokenPipeError:
        return 0  # the parent is gone, and with it who would read the reply
    except FrameError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 1
    return 0


def end_with_parent() -> None:
    """Have the kernel kill this process when the server dies.

    The end of stdin says so too, but only to a worker that reads it: one that is inside the model does not. Elsewhere
    than on Linux that is all there is.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was asked
        os._exit(1)


def take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for frames; afterwards what a model prints goes to stderr, and it reads nothing."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return requests, replies


def load(bundle: Path, *, trust_pickle: bool) -> Predictor:
    """Check and load the bundle; raises `LoadError`."""
    try:
        findings = verify(bundle)
        if findings:
            raise LoadError("bundle_corrupt", "; ".join(map(str, findings)))
        opened = open_bundle(bundle)
    except FairleadError as error:
        raise LoadError("bundle_corrupt", error.message) from error
    if opened.manifest.requires_trust and not trust_pickle:
        raise LoadError("bundle_untrusted", "loading this model would unpickle it, and that was not allowed")
    try:
        predictor = Predictor.load(bundle, opened.manifest, opened.signature, trust_pickle=trust_pickle)
    except FairleadError as error:
        traceback.print_exc()
        raise LoadError("model_invalid", error.message) from error
    except BaseException as error:
        traceback.print_exc()
        raise LoadError("model_invalid", _words(error)) from error
    predictor.settle()
    return predictor


def limit_memory(megabytes: str | None) -> None:
    """Limit the address space to what is in use now and `megabytes` more; None: no limit. Raises `LoadError`."""
    if not megabytes:
        return
    if not megabytes.isdecimal():
        raise LoadError("model_invalid", f"{MEMORY_VARIABLE} is {megabytes!r}, not a number of megabytes")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(megabytes) * _MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def serve(predictor: Predictor, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer each request in turn until the stream ends; raises `FrameError` where it is not frames."""
    while (request := read_frame(requests)) is not None:
        write_frame(replies, answer(predictor, request))


def answer(predictor: Predictor, request: Frame) -> Frame:
    """Return the reply to one request; an error of the model is a reply too."""
    number = request.header.get("id")
    try:
        inputs = decode_tensors(request.header.get("inputs", []), request.body)
        _check_inputs(inputs, predictor.signature)
        outputs = predictor.infer(inputs)
        headers, body = encode_tensors(outputs, predictor.signature.outputs)
    except BaseException as error:  # noqa: BLE001 - even sys.exit() in a model fails its batch only
        traceback.print_exc()
        return Frame({"id": number, "error": _words(error)})
    return Frame({"id": number, "outputs": headers}, body)


def _check_inputs(inputs: Mapping[str, Any], signature: Signature) -> None:
    missing = [spec.name for spec in signature.inputs if spec.name not in inputs]
    if missing:
        raise FrameError(f"the request has no input {missing[0]!r}")
    rows = {len(values) if values.ndim else 0 for values in inputs.values()}
    if len(rows) != 1:
        raise FrameError(f"the inputs have different numbers of rows: {sorted(rows)}")


def _words(error: BaseException) -> str:
    words = first_line(error)
    kind = type(error).__name__
    return kind if words == kind else f"{kind}: {words}"


if __name__ == "__main__":
    sys.exit(main())
