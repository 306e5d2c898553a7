"""Every bash and python block of the README and the guides runs, in order, in one fresh folder for each page."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS_THAT_RUN = {
    "README.md": 5,
    "docs/guides/pack.md": 3,
    "docs/guides/serve.md": 5,
    "docs/guides/log.md": 3,
    "docs/guides/monitor.md": 3,
    "docs/guides/control.md": 4,
    "docs/guides/rollouts.md": 4,
}
LANGUAGES_THAT_RUN = {"bash", "python"}
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Page:
    """Runs the blocks of one page; what they leave running is stopped at the end."""

    folder: Path
    port: int
    admin_port: int
    control_port: int
    groups: list[int] = field(default_factory=list)

    def run(self, language: str, code: str) -> None:
        code = self.with_own_ports(code)
        program = ["bash", "-euo", "pipefail", "-c"] if language == "bash" else ["python", "-W", "error", "-c"]
        told = self.folder / "told.txt"  # a file, not a pipe: a server in the background keeps it open
        with told.open("w") as output:
            process = subprocess.Popen(
                [*program, code],
                cwd=self.folder,
                env=environment(self.folder) | {"FAIRLEAD_URL": f"http://127.0.0.1:{self.control_port}"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.groups.append(process.pid)
        code_of_exit = process.wait(timeout=100)
        assert code_of_exit == 0, f"{language} block ended with {code_of_exit}:\n{code}\n----\n{told.read_text()}"

    def with_own_ports(self, code: str) -> str:
        """The page shows 8080, 8081 and 8090; tests must run beside whatever listens there."""
        ports = f"--port {self.port} --admin-port {self.admin_port}"
        code = re.sub(r"^fairlead serve\b", f"fairlead serve {ports}", code, flags=re.MULTILINE)
        up = f"fairlead up --port {self.control_port} --data-port {self.port}"
        code = re.sub(r"^fairlead up\b", up, code, flags=re.MULTILINE)
        code = code.replace(":8090", f":{self.control_port}")
        return code.replace(":8080", f":{self.port}").replace(":8081", f":{self.admin_port}")

    def stop(self) -> None:
        for group in self.groups:
            signal_group(group, signal.SIGTERM)
        deadline = time.monotonic() + 15
        while any(signal_group(group, 0) for group in self.groups):
            if time.monotonic() > deadline:
                for group in self.groups:
                    signal_group(group, signal.SIGKILL)
                pytest.fail("a server started by the page did not end on SIGTERM")
            time.sleep(0.05)


def signal_group(group: int, number: int) -> bool:
    """Return True if there was anyone to send it to."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def environment(folder: Path) -> dict[str, str]:
    """`fairlead` and `python` are those of the interpreter that runs the tests."""
    commands = folder / ".commands"
    if not commands.exists():
        commands.mkdir()
        (commands / "fairlead").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fairlead "$@"\n')
        (commands / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        for command in commands.iterdir():
            command.chmod(0o755)
    return os.environ | {"PATH": f"{commands}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "python")}


def free_ports() -> tuple[int, int, int]:
    """Three ports that nobody listens on."""
    with ExitStack() as stack:
        one, two, three = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3))
        return one.getsockname()[1], two.getsockname()[1], three.getsockname()[1]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """A page with ports and a folder of its own."""
    page = Page(tmp_path, *free_ports())
    yield page
    page.stop()


def blocks(name: str) -> list[tuple[str, str]]:
    """Language and code of each block."""
    return [(match[1].strip(), match[2]) for match in BLOCK.finditer((ROOT / name).read_text())]


def test_the_pages_are_all_that_have_code() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs" / "guides").glob("*.md")]
    assert {str(path.relative_to(ROOT)) for path in pages} == set(BLOCKS_THAT_RUN)


@pytest.mark.parametrize("name", BLOCKS_THAT_RUN)
def test_every_block_says_whether_it_runs(name: str) -> None:
    languages = [language for language, _ in blocks(name)]
    assert set(languages) <= LANGUAGES_THAT_RUN | {"text"}
    assert sum(language in LANGUAGES_THAT_RUN for language in languages) == BLOCKS_THAT_RUN[name]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", BLOCKS_THAT_RUN)
def test_a_page_runs_from_top_to_bottom(page: Page, name: str) -> None:
    ran = 0
    for language, code in blocks(name):
        if language in LANGUAGES_THAT_RUN:
            page.run(language, code)
            ran += 1
    assert ran == BLOCKS_THAT_RUN[name]


@pytest.mark.parametrize("name", [*BLOCKS_THAT_RUN, "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_links_to_files_lead_somewhere(name: str) -> None:
    page = ROOT / name
    targets = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing
