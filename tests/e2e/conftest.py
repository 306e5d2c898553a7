"""Control planes, models."""

from tests.serverkit.fixtures import models
from tests.serverkit.state import database_url, postgres, start_control

__all__ = ["database_url", "models", "postgres", "start_control"]
