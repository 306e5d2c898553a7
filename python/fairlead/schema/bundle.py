"""A bundle on disk: `manifest.json` names every other file with its sha256; its own digest names the bundle."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fairlead.schema.base import Document

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
BundleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class FileEntry(Document):
    """One file of the bundle; `path` is relative, with forward slashes."""

    path: str = Field(min_length=1)
    size: int = Field(ge=0)
    sha256: Sha256


class OnnxEngine(Document):
    """Run by ONNX Runtime inside the data plane."""

    kind: Literal["onnx"] = "onnx"
    file: str = "model.onnx"
    intra_op_threads: int = Field(default=1, ge=1, le=256)
    arena: bool = True
    """Keep freed tensors for reuse (ONNX Runtime's CPU arena)."""
    graph_optimization: Literal["disable", "basic", "extended", "all"] = "all"


class PythonEngine(Document):
    """Run by a pool of Python worker processes beside the data plane."""

    kind: Literal["python"] = "python"
    runtime: Literal["callable", "sklearn", "lightgbm", "xgboost"]
    """`callable`: `entry` is imported from `code/`; the others load `file` with their library."""
    entry: str | None = None
    """`module:function`, for `callable`."""
    file: str | None = None
    format: Literal["skops", "pickle", "native"] | None = None
    workers: int = Field(default=1, ge=1, le=256)
    timeout_ms: int = Field(default=5_000, ge=1)
    """A batch that takes longer is failed and its worker is killed."""
    memory_mb: int | None = Field(default=None, ge=64)
    """Address-space limit of one worker; None: no limit."""


Engine = Annotated[OnnxEngine | PythonEngine, Field(discriminator="kind")]


class Manifest(Document):
    """`manifest.json`. The bundle's sha256 is the digest of this document's canonical bytes, which are the file."""

    schema_version: Literal[1] = 1
    name: BundleName
    engine: Engine
    requires_trust: bool = False
    """True where loading the model would unpickle: served only with an explicit flag."""
    files: list[FileEntry] = Field(min_length=1)


class DvcReference(Document):
    """What DVC says of the data file (`DATA.dvc` or an out of `dvc.lock`)."""

    file: str
    hash: str
    digest: str


class Lineage(Document):
    """`lineage.json`: where the model came from."""

    source: str
    """The SOURCE given to `pack`, without machine paths."""
    source_sha256: Sha256 | None
    git_commit: str | None
    git_dirty: bool | None
    data_file: str | None
    data_sha256: Sha256 | None
    data_rows: int | None
    target: str | None
    dvc: DvcReference | None = None


class ParityReport(Document):
    """Original model against the converted one on the sample rows."""

    rows: int
    largest_difference: float
    """max |original - converted| over all scores."""
    changed_decisions: int
    tolerance: float
    passed: bool


class Checks(Document):
    """`checks.json`: what the bundle went through."""

    parity: ParityReport | None
    """None where nothing was converted."""
    fallback: str | None = None
    """Why the Python engine is used although a conversion was tried."""


class Environment(Document):
    """`environment.json`: what the model was made and converted with."""

    python: str
    packages: dict[str, str]
