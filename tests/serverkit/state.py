"""Fixtures for whatever keeps state: the same test on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fairlead.store.state import Database
from tests.serverkit.control import ControlPlane
from tests.serverkit.postgres import Postgres

KINDS = ("sqlite", "postgresql")

StartControl = Callable[..., ControlPlane]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that no test stops."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return _new_url(request, tmp_path)
    server: Postgres = request.getfixturevalue("postgres")
    return server.emptied_database()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with its tables."""
    opened = Database(database_url)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=KINDS)
def control(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane for all tests of a module, which use names of their own."""
    folder = tmp_path_factory.mktemp("control")
    running = ControlPlane(folder, database_url=_new_url(request, folder))
    try:
        yield running.wait_until_serving()
        assert running.stop() == 0, running.stderr()
    finally:
        running.kill()


@pytest.fixture
def start_control(tmp_path: Path) -> Iterator[StartControl]:
    """Start control planes for one test: `start_control(*arguments, name=..., ...)`."""
    with ExitStack() as stack:

        def start(*arguments: str, name: str = "control", **options: Any) -> ControlPlane:
            running = ControlPlane(tmp_path / name, *arguments, **options)
            stack.callback(running.kill)
            return running.wait_until_serving()

        yield start


def _new_url(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{folder / 'state.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()
