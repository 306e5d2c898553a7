"""Servers and models for the tests in this folder."""

from tests.serverkit.fixtures import gates, models, pytest_runtest_makereport, serve, serve_module

__all__ = ["gates", "models", "pytest_runtest_makereport", "serve", "serve_module"]
