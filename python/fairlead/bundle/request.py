"""What to pack, and everything it names after it was read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from fairlead.bundle.features import Selection, apply_types, choose_features
from fairlead.bundle.overrides import Overrides, read_overrides
from fairlead.bundle.parity import DEFAULT_TOLERANCE
from fairlead.bundle.profiling import check_segment
from fairlead.bundle.sample import Column, Sample, read_sample
from fairlead.bundle.sources import Source, load_source
from fairlead.errors import BadInputError
from fairlead.schema.bundle import BundleName

EngineChoice = Literal["auto", "onnx", "python"]


@dataclass(frozen=True, kw_only=True)
class PackRequest:
    """What to pack. `source` and `data` are paths, or a model object and a table in memory."""

    source: Any
    name: str
    data: Any
    target: str | None = None
    """The column with the truth; it is no feature."""
    out: str | Path = "bundles"
    threshold: float | None = None
    """Score from which the positive class is decided; None: 0.5 for probabilities."""
    tolerance: float = DEFAULT_TOLERANCE
    """Largest score difference that a conversion may make."""
    segments: Sequence[str] = ()
    """Columns whose values get rates of their own in the profile."""
    overrides: str | Path | Mapping[str, Any] | None = None
    """A signature file, or a mapping of its form."""
    features: Sequence[str] | None = None
    """The model's columns in its order; None: as the model says, or all but the target."""
    engine: EngineChoice = "auto"
    """`onnx` fails where the model cannot be converted within tolerance; `python` does not try."""
    trust_pickle: bool = False
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    """How the engine is to run, by the names in the manifest: `intra_op_threads`, `arena`, `workers`, ..."""


@dataclass(frozen=True, slots=True)
class Material:
    """A request after everything it names was read and checked."""

    request: PackRequest
    sample: Sample
    source: Source
    overrides: Overrides
    features: Sequence[Column]
    segments: Sequence[Column] = field(default=())

    @property
    def target(self) -> Column | None:
        """The target's column, if there is one."""
        return self.sample.columns.get(self.request.target) if self.request.target else None


def gather(request: PackRequest) -> Material:
    """Read and check everything that the request names; raises `BadInputError`."""
    try:
        TypeAdapter(BundleName).validate_python(request.name)
    except ValidationError as error:
        raise BadInputError(
            f"{request.name!r} is not a name for a bundle", hint="letters, digits, `.`, `_` and `-`, at most 100"
        ) from error
    if request.tolerance < 0:
        raise BadInputError(f"the tolerance is {request.tolerance}: it cannot be negative")
    overrides = read_overrides(request.overrides)
    sample = read_sample(request.data)
    if request.target is not None:
        sample.column(request.target, "target")
    segments = [sample.column(name, "segment") for name in request.segments]
    for column in segments:
        check_segment(column)
    source = load_source(request.source, trust_pickle=request.trust_pickle)
    features: Sequence[Column] = []
    if not any(name in sample.tensors for name in source.facts.tensors):
        wanted = Selection(request.features, request.target, request.segments)
        features = apply_types(choose_features(sample, source.facts, wanted), overrides.features)
    return Material(request, sample, source, overrides, features, segments)
