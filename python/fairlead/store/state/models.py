"""The tables. Times are UTC in microseconds; documents of `fairlead.schema` are kept as JSON."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite numbers rows by itself only where the type is INTEGER.
Serial = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    """Common to all tables: names of constraints, so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {int: BigInteger(), dict[str, Any]: JSON(), list[str]: JSON()}


class BundleRow(Base):
    """A bundle; never changed, never removed."""

    __tablename__ = "bundles"
    __table_args__ = (UniqueConstraint("name", "version"),)

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[int]
    engine: Mapped[str] = mapped_column(String(100))
    requires_trust: Mapped[bool]
    size: Mapped[int]
    location: Mapped[str] = mapped_column(Text)
    documents: Mapped[dict[str, Any]]
    pushed_us: Mapped[int]
    pushed_by: Mapped[str] = mapped_column(String(100))


class TagRow(Base):
    """A name and a value on a bundle."""

    __tablename__ = "tags"

    sha256: Mapped[str] = mapped_column(ForeignKey(BundleRow.sha256), primary_key=True)
    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    set_us: Mapped[int]
    set_by: Mapped[str] = mapped_column(String(100))


class EndpointRow(Base):
    """The desired settings of an endpoint."""

    __tablename__ = "endpoints"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    settings: Mapped[dict[str, Any]]
    updated_us: Mapped[int]
    updated_by: Mapped[str] = mapped_column(String(100))


class RoleRow(Base):
    """The present role of a bundle on an endpoint."""

    __tablename__ = "roles"
    __table_args__ = (
        Index(
            "uq_roles_endpoint_role",
            "endpoint",
            "role",
            unique=True,
            sqlite_where=text("role IN ('champion', 'challenger')"),
            postgresql_where=text("role IN ('champion', 'challenger')"),
        ),
        UniqueConstraint("endpoint", "version"),
        CheckConstraint("role IN ('champion', 'challenger', 'shadow', 'archived')", name="role"),
    )

    endpoint: Mapped[str] = mapped_column(ForeignKey(EndpointRow.name), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey(BundleRow.sha256), primary_key=True)
    role: Mapped[str] = mapped_column(String(20))
    version: Mapped[str] = mapped_column(String(100))
    since_us: Mapped[int]
    threshold: Mapped[float | None] = mapped_column(Double)


class DecisionRow(Base):
    """A decision; triggers refuse to change or remove it. `chain` is for the ledger."""

    __tablename__ = "decisions"
    __table_args__ = (CheckConstraint("verdict IN ('pass', 'fail', 'inconclusive', 'error')", name="verdict"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(100))
    endpoint: Mapped[str | None] = mapped_column(String(100), index=True)
    subject: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(String(20))
    evidence: Mapped[dict[str, Any]]
    actor: Mapped[str] = mapped_column(String(100))
    at_us: Mapped[int]
    chain: Mapped[str | None] = mapped_column(String(64))


class RoleHistoryRow(Base):
    """A move of a bundle from role to role; triggers refuse to change or remove it."""

    __tablename__ = "role_history"
    __table_args__ = (Index(None, "endpoint", "at_us"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    endpoint: Mapped[str] = mapped_column(ForeignKey(EndpointRow.name))
    sha256: Mapped[str] = mapped_column(ForeignKey(BundleRow.sha256))
    version: Mapped[str] = mapped_column(String(100))
    from_role: Mapped[str | None] = mapped_column(String(20))
    to_role: Mapped[str | None] = mapped_column(String(20))
    at_us: Mapped[int]
    actor: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str] = mapped_column(Text)
    decision: Mapped[int] = mapped_column(ForeignKey(DecisionRow.id))


class SnapshotRow(Base):
    """A state that replicas were told to be in."""

    __tablename__ = "snapshots"

    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    document: Mapped[dict[str, Any]]
    at_us: Mapped[int]
    actor: Mapped[str] = mapped_column(String(100))


class ReplicaRow(Base):
    """A data-plane process, as it last reported; `stale_us`: when it was noticed that it no longer does."""

    __tablename__ = "replicas"

    replica: Mapped[str] = mapped_column(String(200), primary_key=True)
    incarnation: Mapped[int]
    region: Mapped[str | None] = mapped_column(String(100))
    generation: Mapped[int]
    first_seen_us: Mapped[int]
    last_seen_us: Mapped[int]
    stale_us: Mapped[int | None]


class TelemetryRow(Base):
    """The newest report of one life of a replica."""

    __tablename__ = "telemetry"

    replica: Mapped[str] = mapped_column(String(200), primary_key=True)
    incarnation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int]
    document: Mapped[dict[str, Any]]
    received_us: Mapped[int]


class KeyRow(Base):
    """An API key: the sha256 of 256 random bits, which nobody can guess back."""

    __tablename__ = "api_keys"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    role: Mapped[str] = mapped_column(String(20))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_us: Mapped[int]
    created_by: Mapped[str] = mapped_column(String(100))
    revoked_us: Mapped[int | None]


class LeaseRow(Base):
    """Who may run the loops until when; `term` counts the holders."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    term: Mapped[int]
    expires_us: Mapped[int]


class WebhookRow(Base):
    """Who wants to be told what."""

    __tablename__ = "webhooks"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(String(100))
    events: Mapped[list[str]]
    created_us: Mapped[int]
    created_by: Mapped[str] = mapped_column(String(100))


class OutboxRow(Base):
    """One event for one webhook, written with what it tells of."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(None, "state", "next_us"),
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    webhook: Mapped[int] = mapped_column(ForeignKey(WebhookRow.id, ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(100))
    payload: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(20))
    attempts: Mapped[int]
    created_us: Mapped[int]
    next_us: Mapped[int]
    last_error: Mapped[str | None] = mapped_column(Text)


class RolloutRow(Base):
    """A rollout: its document, and its state as it stands. `revision` grows with every change of the state."""

    __tablename__ = "rollouts"
    __table_args__ = (
        Index(
            "uq_rollouts_endpoint",
            "endpoint",
            unique=True,
            sqlite_where=text("active"),
            postgresql_where=text("active"),
        ),
    )

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    endpoint: Mapped[str] = mapped_column(ForeignKey(EndpointRow.name))
    active: Mapped[bool]
    document: Mapped[dict[str, Any]]
    state: Mapped[dict[str, Any]]
    revision: Mapped[int]
    created_us: Mapped[int]
    created_by: Mapped[str] = mapped_column(String(100))
    updated_us: Mapped[int]


class EpochRow(Base):
    """The last epoch of an endpoint; telemetry never forgets one, so none is used twice."""

    __tablename__ = "epochs"

    endpoint: Mapped[str] = mapped_column(ForeignKey(EndpointRow.name), primary_key=True)
    epoch: Mapped[int]


class OutcomeRow(Base):
    """One revision of what a source said of a prediction; the highest revision counts."""

    __tablename__ = "outcomes"
    __table_args__ = (
        UniqueConstraint("endpoint", "prediction_id", "source", "revision"),
        Index(None, "endpoint", "id"),
        Index(None, "endpoint", "received_us"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    endpoint: Mapped[str] = mapped_column(ForeignKey(EndpointRow.name))
    prediction_id: Mapped[str] = mapped_column(String(36))
    source: Mapped[str] = mapped_column(String(100))
    revision: Mapped[int]
    label: Mapped[Any] = mapped_column(JSON)
    reported_us: Mapped[int]
    received_us: Mapped[int]
    received_by: Mapped[str] = mapped_column(String(100))


class OutcomeEvidenceRow(Base):
    """What a rollout's outcomes came to when they were last joined with the log."""

    __tablename__ = "outcome_evidence"

    rollout: Mapped[str] = mapped_column(ForeignKey(RolloutRow.name), primary_key=True)
    run: Mapped[int]
    document: Mapped[dict[str, Any]]


class MirroredBundleRow(Base):
    """The number that an MLflow server gave a bundle."""

    __tablename__ = "mirrored_bundles"
    __table_args__ = (UniqueConstraint("model", "version"),)

    sha256: Mapped[str] = mapped_column(ForeignKey(BundleRow.sha256), primary_key=True)
    model: Mapped[str] = mapped_column(String(100))
    version: Mapped[str] = mapped_column(String(20))


class MirroredAliasRow(Base):
    """What an alias of an MLflow server was when both sides last agreed; None: it was not set."""

    __tablename__ = "mirrored_aliases"

    model: Mapped[str] = mapped_column(String(100), primary_key=True)
    alias: Mapped[str] = mapped_column(String(220), primary_key=True)
    version: Mapped[str | None] = mapped_column(String(20))
