"""Alembic's entry: runs the revisions on the connection, and in the transaction, that `migrate.py` has opened."""

from alembic import context

from fairlead.store.state.models import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
context.run_migrations()
