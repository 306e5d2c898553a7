"""Thresholds that rollouts have found."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("roles", sa.Column("threshold", sa.Double(), nullable=True))
