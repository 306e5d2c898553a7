"""State on both databases, control planes, models."""

from tests.serverkit.fixtures import models
from tests.serverkit.state import control, database, database_url, postgres, start_control

__all__ = ["control", "database", "database_url", "models", "postgres", "start_control"]
