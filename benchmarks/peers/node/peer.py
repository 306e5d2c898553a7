"""How to install and start it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from benchmarks.harness.processes import Command
from benchmarks.peers.peer import OIP_READY, InstallError, Peer, Start, environment, run_installer

if TYPE_CHECKING:
    from pathlib import Path


def _install(home: Path, source: Path) -> None:
    if shutil.which("npm") is None:
        raise InstallError("there is no npm on this machine")
    for name in ("package.json", "server.js"):
        shutil.copy(source / name, home / name)
    os.environ.setdefault("ONNXRUNTIME_NODE_INSTALL", "skip")  # no GPU libraries: the package carries the CPU's
    run_installer(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], home)


def _command(start: Start) -> Command:
    shutil.copy(start.source / "server.js", start.home / "server.js")
    return Command(["node", "server.js"], start.port, OIP_READY, environment(start), start.home)


PEER = Peer("node", "Node: fastify + onnxruntime-node", _command, ratio=1.8, install=_install)
