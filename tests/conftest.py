"""What all tests share: Hypothesis profiles, and the command line as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("fast", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("slow", max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("FAIRLEAD_HYPOTHESIS", "fast"))

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).parents[1]


@pytest.fixture
def cli(tmp_path: Path, repository: Path) -> Cli:
    """Run `fairlead ARGUMENTS` in a process of its own, in `tmp_path`; gives exit code, stdout and stderr."""

    def run(*arguments: str, timeout: float = 25.0) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "FAIRLEAD_DEBUG"}
        environment["PYTHONPATH"] = str(repository / "python")
        return subprocess.run(
            [sys.executable, "-m", "fairlead", *arguments],
            cwd=tmp_path,
            env=environment,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )

    return run
