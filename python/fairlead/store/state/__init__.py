"""The control plane's state: one SQL database, SQLite or PostgreSQL, one module for each subject.

Each function takes the `Transaction` that it is part of, so that a decision and its effect are one commit.
"""

from fairlead.store.state.database import Database, Transaction

__all__ = ["Database", "Transaction"]
