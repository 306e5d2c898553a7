"""How a bundle's engine is to run: threads, arena and graph of ONNX Runtime; workers, time and memory of Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from fairlead.errors import BadInputError
from fairlead.schema.bundle import Engine, OnnxEngine, PythonEngine

ONNX_OPTIONS = ("intra_op_threads", "arena", "graph_optimization")
PYTHON_OPTIONS = ("workers", "timeout_ms", "memory_mb")


def parse_options(words: list[str]) -> dict[str, str]:
    """Return `["arena=false", ...]` as a mapping; raises `BadInputError`."""
    pairs = [word.partition("=") for word in words]
    for key, equals, _ in pairs:
        if not equals:
            raise BadInputError(f"--engine-option {key!r} has no value", hint="write it as key=value")
    return {key: value for key, _, value in pairs}


def with_options(engine: Engine, options: Mapping[str, Any]) -> Engine:
    """Return the engine with its own of the options; those of the other kind of engine do not concern it.

    Raises `BadInputError` for an option that neither kind has, and for a value that the option cannot have.
    """
    for key in options:
        if key not in (*ONNX_OPTIONS, *PYTHON_OPTIONS):
            known = ", ".join((*ONNX_OPTIONS, *PYTHON_OPTIONS))
            raise BadInputError(f"no engine option {key!r}", hint=f"there are {known}")
    own = ONNX_OPTIONS if isinstance(engine, OnnxEngine) else PYTHON_OPTIONS
    values = {**engine.model_dump(), **{key: value for key, value in options.items() if key in own}}
    kind = OnnxEngine if isinstance(engine, OnnxEngine) else PythonEngine
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        complaint = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in complaint["loc"])
        raise BadInputError(f"engine option {field}: {complaint['msg']}, got {complaint['input']!r}") from None
