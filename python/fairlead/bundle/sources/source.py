"""The seam between a model library and packing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from fairlead.bundle.runtime import Runner
from fairlead.bundle.sample import Column
from fairlead.schema.bundle import PythonEngine
from fairlead.schema.signature import Scalar, Signature, Task

MATRIX_NAME = "input"
"""The one tensor of an all-numeric model."""


class Layout(StrEnum):
    """How a model takes its columns."""

    MATRIX = "matrix"
    """One tensor `input` [-1, k], all columns numbers."""
    COLUMNS = "columns"
    """One tensor [-1, 1] per column."""
    VECTORS = "vectors"
    """One tensor [-1] per column."""
    GRAPH = "graph"
    """As the ONNX graph has it."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a trained model says of itself; None where it does not say."""

    names: tuple[str, ...] | None
    """The columns it was trained on, in order."""
    width: int | None
    """How many columns it takes."""
    task: Task | None
    labels: tuple[Scalar, ...] = ()
    """The classes of a classifier, in the order of its probabilities."""
    tensors: tuple[str, ...] = ()
    """Inputs that may be tensors of more than a number per row."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the model came from, without machine paths in `text`."""

    text: str
    folder: Path
    """Where to ask git."""
    sha256: str | None = None
    code: Mapping[str, bytes] = field(default_factory=dict)
    """Source files that the model needs, by their path under `code/`."""


@dataclass(frozen=True, slots=True)
class SavedModel:
    """The model as the Python engine loads it: files by their path in the bundle."""

    engine: PythonEngine
    files: Mapping[str, bytes]
    requires_trust: bool = False


class Source(Protocol):
    """A trained model of one library."""

    origin: Origin
    facts: ModelFacts
    libraries: Sequence[str]
    """Distributions whose versions matter."""

    def layout(self, features: Sequence[Column]) -> Layout:
        """Return how the model takes these columns."""
        ...

    def runner(self, signature: Signature) -> Runner | None:
        """Return the model as it was given, or None where the bundle's graph is that model itself."""
        ...

    def convert(self, signature: Signature) -> bytes:
        """Return the model as an ONNX graph with the signature's inputs; raises `ConversionError`."""
        ...

    def saved(self) -> SavedModel:
        """Return the model for the Python engine; raises `BundleError` where that cannot be."""
        ...
