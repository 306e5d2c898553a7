"""Thresholds that rollouts have found."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.add_column("roles", sa.Column("threshold", sa.Double(), nullable=True))
