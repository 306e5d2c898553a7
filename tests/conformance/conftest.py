"""Servers and models for the tests in this folder."""

from tests.serverkit.fixtures import gates, models, pytest_runtest_makereport, serve, serve_module
from tests.serverkit.state import start_control

__all__ = ["gates", "models", "pytest_runtest_makereport", "serve", "serve_module", "start_control"]
