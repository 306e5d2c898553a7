"""The fixtures that the server's test folders share; each conftest imports them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from fairlead.schema.snapshot import Endpoint
from tests.serverkit.gates import Gates
from tests.serverkit.models import Workshop
from tests.serverkit.server import Launch, Server
from tests.serverkit.snapshots import snapshot

WORDS = 8_000
"""Characters of what a server has said that a failure shows."""

_RUNNING: list[Server] = []

MakeFolder = Callable[[], Path]


class Serve(Protocol):
    """Starts a server of these endpoints; `launch` are the other fields of `Launch`."""

    def __call__(self, *endpoints: Endpoint, **launch: Any) -> Server: ...


@contextmanager
def serving(make_folder: MakeFolder) -> Iterator[Serve]:
    """Give a function that starts servers; at the end all of them end well, or the test fails."""
    started: list[Server] = []

    def start(*endpoints: Endpoint, **launch: Any) -> Server:
        given = {"folder": make_folder(), "snapshot": snapshot(*endpoints), **launch}
        server = Server(Launch(**given))
        started.append(server)
        _RUNNING.append(server)
        return server.wait_until_serving()

    with ExitStack() as stack:
        stack.callback(_leave_nothing, started)
        yield start
        codes = [server.stop() for server in started if not server.expected_dead]
        assert codes == [0] * len(codes), "a server did not end well"


def _leave_nothing(servers: Sequence[Server]) -> None:
    for server in servers:
        server.kill()
        server.close()
        _RUNNING.remove(server)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Real models, each packed when it is first asked for."""
    return Workshop(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start servers for one test."""
    with serving(lambda: tmp_path_factory.mktemp("server")) as start:
        yield start


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start servers for all tests of a module, which do not change them."""
    with serving(lambda: tmp_path_factory.mktemp("server")) as start:
        yield start


@pytest.fixture
def gates(tmp_path: Path) -> Gates:
    """Gates for the models that wait at them."""
    return Gates(tmp_path / "gates")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the servers said where a test failed."""
    report = yield
    if report.failed:
        for server in _RUNNING:
            report.sections.append((f"words of {server.launch.folder.name}", server.stderr()[-WORDS:]))
    return report
