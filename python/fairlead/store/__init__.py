"""The only home of SQL and storage: the prediction log (DuckDB), the control plane's `state`, bundles as `objects`.

Each name below is imported when it is first used: who needs tables does not load DuckDB.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead.store.log import BASE_SCHEMA, EndpointLog, PredictionLog, QueryResult

__all__ = ["BASE_SCHEMA", "EndpointLog", "PredictionLog", "QueryResult"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'fairlead.store' has no attribute {name!r}")
    return getattr(import_module("fairlead.store.log"), name)
