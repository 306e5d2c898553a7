"""The registry's documents: what is known of a bundle, which roles it has, and who moved it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from fairlead.schema.base import Document
from fairlead.schema.bundle import BundleName, Checks, Environment, Lineage, Manifest, Sha256
from fairlead.schema.profile import Profile
from fairlead.schema.signature import Signature
from fairlead.schema.snapshot import Batching, Durability, EngineOptions, Validation, Version

Microseconds = Annotated[int, Field(ge=0)]
"""UTC, since 1970."""
TagKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")]


class RegistryRole(StrEnum):
    """What a bundle is to an endpoint."""

    CHAMPION = "champion"
    """Answers; exactly one, once an endpoint has been given one."""
    CHALLENGER = "challenger"
    """May replace the champion; at most one."""
    SHADOW = "shadow"
    """Sees traffic and answers nobody."""
    ARCHIVED = "archived"
    """Had a role once."""


class Verdict(StrEnum):
    """What a decision came to."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """The evidence does not suffice."""
    ERROR = "error"
    """The evidence could not be had."""


class BundleRecord(Document):
    """A bundle in the registry. `version` counts the bundles of one name."""

    sha256: Sha256
    name: BundleName
    version: int = Field(ge=1)
    engine: str
    requires_trust: bool
    size: int = Field(ge=0)
    location: str
    """Where bundle storage keeps it."""
    pushed_us: Microseconds
    pushed_by: str
    tags: dict[str, str] = Field(default_factory=dict)


class RoleHolder(Document):
    """A bundle in its present role on an endpoint; `version` is what the endpoint calls it."""

    endpoint: BundleName
    role: RegistryRole
    sha256: Sha256
    version: Version
    since_us: Microseconds
    threshold: float | None = None
    """Where it decides on this endpoint, if a rollout has recalibrated it; None: as the bundle says."""


class RoleMove(Document):
    """One line of the role history, which only grows. None stands for no role."""

    id: int
    endpoint: BundleName
    sha256: Sha256
    version: Version
    from_role: RegistryRole | None
    to_role: RegistryRole | None
    at_us: Microseconds
    actor: str
    reason: str
    decision: int
    """The decision record written with it."""


class RoleAssignment(Document):
    """A wish: this bundle in that role."""

    sha256: str = Field(pattern=r"^[0-9a-f]{6,64}$")
    """Or its first digits."""
    reason: str = Field(default="", max_length=2_000)
    allow_incompatible: bool = False
    """Replace a champion by one with another signature: every caller must know."""


class TagValue(Document):
    value: str = Field(max_length=5_000)


class BundleDocuments(Document):
    """What is inside a bundle, without its model."""

    manifest: Manifest
    signature: Signature
    profile: Profile
    lineage: Lineage
    checks: Checks
    environment: Environment


class BundleView(Document):
    """All that the registry knows of one bundle."""

    record: BundleRecord
    documents: BundleDocuments
    roles: list[RoleHolder]


class Difference(Document):
    """One thing in which two bundles differ; None where one of them does not have it."""

    field: str
    first: Any
    second: Any


class BundleDiff(Document):
    """What changed from the first bundle to the second."""

    first: BundleRecord
    second: BundleRecord
    compatible: bool
    """A caller of the first can call the second: nothing in `signature` matters to it."""
    incompatibilities: list[str]
    signature: list[Difference]
    profile: list[Difference]
    checks: list[Difference]
    lineage: list[Difference]
    environment: list[Difference]


class EndpointSettings(Document):
    """What an endpoint should be like, whatever is served on it: the snapshot's endpoint without its variants."""

    validation: Validation = Validation.REJECT
    durability: Durability = Durability.BUFFERED
    deadline_ms: int = Field(default=2_000, ge=1, le=3_600_000)
    unit_key: str | None = None
    batching: Batching = Batching()
    engine: EngineOptions = EngineOptions()


class EndpointRecord(Document):
    """An endpoint: its settings and the bundles that have a role on it."""

    name: BundleName
    settings: EndpointSettings
    roles: list[RoleHolder]
    updated_us: Microseconds
    updated_by: str


class DecisionRecord(Document):
    """Why something was changed, or was not. Written in the transaction of the change."""

    id: int
    kind: str
    endpoint: BundleName | None
    subject: str
    verdict: Verdict
    evidence: dict[str, Any]
    actor: str
    at_us: Microseconds
