"""The only home of SQL. For now: the prediction log, read with DuckDB."""

from fairlead.store.log import BASE_SCHEMA, EndpointLog, PredictionLog, QueryResult

__all__ = ["BASE_SCHEMA", "EndpointLog", "PredictionLog", "QueryResult"]
