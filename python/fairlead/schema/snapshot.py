"""The snapshot: the complete desired state of the data plane, applied whole or not at all."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fairlead.schema.base import Document
from fairlead.schema.bundle import BundleName, Sha256

SALT_BYTES = 64
MOST_SLICE_COLUMNS = 8
MOST_SLICE_VALUES = 32
"""Values of a column that have a slice of their own: the signature's categories, or those that come first."""
SliceColumn = Annotated[str, Field(min_length=1)]
"""A feature of the signature that is a string, an integer or a boolean."""
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class Role(StrEnum):
    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"


class Validation(StrEnum):
    """What happens to a row that breaks the signature. Every violation is counted, whatever the choice."""

    REJECT = "reject"
    """Answer 422 naming each field."""
    FLAG = "flag"
    """Answer, and mark the row in the log."""
    IMPUTE = "impute"
    """Replace the value by the signature's `impute`, answer, and mark the row."""


class Durability(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    """Answer only after the row is on disk (group commit)."""
    BUFFERED = "buffered"
    """Answer at once; a crash may lose what was not yet flushed."""
    NONE = "none"
    """Write no prediction log for this endpoint."""


class Dispatch(StrEnum):
    """Where a model runs."""

    AUTO = "auto"
    """Measured at warm-up: `inline` where a full batch is fast, else `threads`."""
    INLINE = "inline"
    """On the I/O threads, each with its own session: no hand-over, for models of some microseconds a row."""
    THREADS = "threads"
    """On threads of its own, so that a slow model delays nobody else's requests."""


class Batching(Document):
    max_rows: int = Field(default=256, ge=1)
    """Rows in one call of the model. A request with more rows runs alone."""
    max_wait_us: int = Field(default=0, ge=0)
    """Microseconds a lone request may wait for company; 0: take what is queued."""
    queue_rows: int = Field(default=4_096, ge=1)
    """Rows admitted and not yet answered, over all I/O threads; beyond that requests wait for room."""
    queue_wait_ms: int = Field(default=100, ge=0, le=60_000)
    """Longest wait for room, then 429; 0: refuse at once. As many requests may wait as the queue has rows."""


class EngineOptions(Document):
    """How this endpoint runs its engine; None: as the bundle says."""

    dispatch: Dispatch = Dispatch.AUTO
    instances: int = Field(default=1, ge=1, le=256)
    """Engine threads where dispatch is `threads`."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Python worker processes."""
    intra_op_threads: int | None = Field(default=None, ge=1, le=256)
    timeout_ms: int | None = Field(default=None, ge=1)
    """Longest time that a Python worker may take for a batch."""
    memory_mb: int | None = Field(default=None, ge=64)
    """What a Python worker may allocate once its model is loaded."""
    native_trees: bool = True
    """Run a tree ensemble without ONNX Runtime where its answers are the same, which is checked when it is loaded."""


class BundleReference(Document):
    path: str = Field(min_length=1)
    """Folder of the bundle, absolute or relative to the snapshot file."""
    sha256: Sha256 | None = None
    """What the bundle must be; None: whatever is there, if it verifies."""


class Variant(Document):
    role: Role
    version: Version = "1"
    bundle: BundleReference
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    """The score from which on the positive class is decided; None: the bundle's own. For a binary decision only."""


class Routing(Document):
    """How units are divided between champion and challenger, and what a shadow sees.

    u is the little-endian number in the first 8 bytes of BLAKE2b of the unit, keyed with the salt; the unit is the
    challenger's where u < floor(share * 2^64), and always where the share is 1 (`fairlead.rollout.assignment`).
    """

    salt: str = Field(min_length=1, max_length=64)
    """Of this rollout: who suffered from the last challenger is not the first to get the next."""
    epoch: int = Field(ge=0)
    """Grows by one with each change of shares."""
    challenger: Version | None = None
    share: float = Field(default=0.0, ge=0, le=1)
    """Of units, to the challenger."""
    shadow: Version | None = None
    shadow_share: float = Field(default=0.0, ge=0, le=1)
    """Of requests that are mirrored."""
    regions: list[str] | None = None
    """Only replicas of these send units to the challenger; None: all."""
    override: bool = True
    """Testers may name a variant with the header `Fairlead-Variant`; such requests are never evidence."""
    matched: bool = False
    """As many of the champion's units as the challenger has are counted as an arm of their own, the matched control:
    those with u >= 2^64 - floor(share * 2^64); above a share of a half all of the champion's."""
    slices: list[SliceColumn] = Field(default_factory=list, max_length=MOST_SLICE_COLUMNS)
    """Columns by whose values units are counted besides; the same for as long as the salt is."""

    @model_validator(mode="after")
    def _unique_slices(self) -> Self:
        if len(set(self.slices)) != len(self.slices):
            raise ValueError(f"slices must be unique, got {self.slices}")
        return self

    @model_validator(mode="after")
    def _salt_is_a_key(self) -> Self:
        if len(self.salt.encode()) > SALT_BYTES:
            raise ValueError(f"salt: at most {SALT_BYTES} bytes in UTF-8, which is BLAKE2b's longest key")
        return self


class Endpoint(Document):
    name: BundleName
    variants: list[Variant] = Field(min_length=1)
    validation: Validation = Validation.REJECT
    durability: Durability = Durability.BUFFERED
    deadline_ms: int = Field(default=2_000, ge=1, le=3_600_000)
    """Longest time a request may take; a client may ask for less."""
    unit_key: str | None = None
    """Record field that names the unit (customer, card); logged, and later used for sticky assignment."""
    batching: Batching = Batching()
    engine: EngineOptions = EngineOptions()
    routing: Routing | None = None
    """During a rollout; None: the champion answers everybody."""

    @model_validator(mode="after")
    def _one_champion(self) -> Self:
        champions = [v.version for v in self.variants if v.role is Role.CHAMPION]
        if len(champions) != 1:
            raise ValueError(f"endpoint {self.name!r}: exactly one champion, got {len(champions)}")
        versions = [v.version for v in self.variants]
        if len(set(versions)) != len(versions):
            raise ValueError(f"endpoint {self.name!r}: versions must be unique, got {versions}")
        return self

    @model_validator(mode="after")
    def _routing_names_variants(self) -> Self:
        if self.routing is not None:
            others = [v.version for v in self.variants if v.role is not Role.CHAMPION]
            for field in ("challenger", "shadow"):
                named = getattr(self.routing, field)
                if named is not None and named not in others:
                    raise ValueError(f"endpoint {self.name!r}: routing.{field} {named!r} is none of {others}")
        return self


class Snapshot(Document):
    schema_version: Literal[1] = 1
    generation: int = Field(default=1, ge=0)
    """Grows with every change; a replica refuses to go back."""
    endpoints: list[Endpoint] = Field(default_factory=list)

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        names = [e.name for e in self.endpoints]
        if len(set(names)) != len(names):
            raise ValueError(f"endpoint names must be unique, got {names}")
        return self
