"""What the benchmark must know of a peer, and the ways to install one into an environment of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness.layout import CACHE, PEERS
from benchmarks.model import oip_body

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.harness.processes import Command

INSTALL_LIMIT_S = 1_200
_RECIPE = {"requirements.txt", "package.json", "peer.py"}
INPUT = "input"
OIP_PATH = "/v2/models/fraud/infer"
OIP_READY = "/v2/health/ready"


class InstallError(Exception):
    """A peer did not install; the message has the reason as its installer gave it."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a server is started with."""

    onnx: Path
    port: int
    source: Path
    """The peer's folder of the repository."""
    home: Path
    """Its environment, and room for files that it needs."""


def oip_scores(answer: Any) -> list[float]:
    """Probability of the positive class by row, from an Open Inference Protocol answer with [rows, 2] probabilities."""
    for output in answer["outputs"]:
        if output["name"] == "probabilities":
            data: list[float] = output["data"]
            return data[1::2]
    raise LookupError("no output `probabilities`")


def oip_request(row: NDArray[np.float32]) -> str:
    """One row as an Open Inference Protocol request."""
    return oip_body(INPUT, row[None])


def venv_install(home: Path, source: Path) -> None:
    """A virtual environment in `home` with the folder's `requirements.txt`."""
    if not (home / "bin" / "python").exists():
        run_installer([sys.executable, "-m", "venv", str(home)])
    run_installer([str(home / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(source / "requirements.txt")])


def run_installer(argv: list[str], folder: Path | None = None) -> None:
    """Run an installer; `InstallError` with its last words where it fails."""
    try:
        done = subprocess.run(argv, check=False, cwd=folder, capture_output=True, text=True, timeout=INSTALL_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(str(error)) from error
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or ["no output"]
        raise InstallError(lines[-1][:200])


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to compare with."""

    name: str
    """Of its folder, and for `--only`."""
    title: str
    command: Callable[[Start], Command]
    ratio: float | None = None
    """How many times its throughput ours should be."""
    install: Callable[[Path, Path], None] = venv_install
    path: str = OIP_PATH
    request: Callable[[NDArray[np.float32]], str] = oip_request
    scores: Callable[[Any], list[float]] = oip_scores

    @property
    def source(self) -> Path:
        """Its folder of the repository."""
        return PEERS / self.name

    @property
    def home(self) -> Path:
        """Where it is installed."""
        return CACHE / self.name

    def ensure_installed(self) -> None:
        """Install it unless this very recipe was installed before; raises `InstallError`."""
        recipe = b"".join(p.read_bytes() for p in sorted(self.source.iterdir()) if p.name in _RECIPE)
        stamp = json.dumps({"recipe": hashlib.sha256(recipe).hexdigest(), "python": sys.version})
        marker = self.home / "installed.json"
        if marker.exists() and marker.read_text() == stamp:
            return
        self.home.mkdir(parents=True, exist_ok=True)
        self.install(self.home, self.source)
        marker.write_text(stamp)

    def pins(self) -> dict[str, str]:
        """The versions that its recipe pins, by package."""
        pinned = dict[str, str]()
        requirements, package = self.source / "requirements.txt", self.source / "package.json"
        if requirements.exists():
            pairs = (line.split("==") for line in requirements.read_text().splitlines() if "==" in line)
            pinned |= {name.strip(): version.strip() for name, version in pairs}
        if package.exists():
            pinned |= json.loads(package.read_text())["dependencies"]
        return pinned

    def start(self, onnx: Path, port: int) -> Command:
        """The command that serves `onnx` on `port`."""
        return self.command(Start(onnx, port, self.source, self.home))


def python_of(start: Start) -> str:
    """The interpreter of the peer's environment."""
    return str(start.home / "bin" / "python")


def environment(start: Start) -> dict[str, str]:
    """What every peer's server reads, and one thread for the libraries that would take all."""
    return {
        "BENCH_MODEL": str(start.onnx),
        "BENCH_PORT": str(start.port),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{start.home / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
