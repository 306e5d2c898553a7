"""Outcomes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables of outcomes."""
    op.create_table(
        "outcomes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("endpoint", sa.String(length=100), nullable=False),
        sa.Column("prediction_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("reported_us", sa.BigInteger(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("received_by", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["endpoint"], ["endpoints.name"], name=op.f("fk_outcomes_endpoint")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcomes")),
        sa.UniqueConstraint(
            "endpoint",
            "prediction_id",
            "source",
            "revision",
            name=op.f("uq_outcomes_endpoint_prediction_id_source_revision"),
        ),
    )
    op.create_index(op.f("ix_outcomes_endpoint_id"), "outcomes", ["endpoint", "id"], unique=False)
    op.create_index(op.f("ix_outcomes_endpoint_received_us"), "outcomes", ["endpoint", "received_us"], unique=False)
    op.create_table(
        "outcome_evidence",
        sa.Column("rollout", sa.String(length=100), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["rollout"], ["rollouts.name"], name=op.f("fk_outcome_evidence_rollout")),
        sa.PrimaryKeyConstraint("rollout", name=op.f("pk_outcome_evidence")),
    )
