"""How to start it."""

from __future__ import annotations

from benchmarks.harness.processes import Command
from benchmarks.peers.peer import Peer, Start, environment, python_of


def _command(start: Start) -> Command:
    argv = [python_of(start), "-m", "uvicorn", "server:app", "--workers", "2", "--no-access-log"]
    argv += ["--host", "127.0.0.1", "--port", str(start.port), "--log-level", "warning"]
    return Command(argv, start.port, "/v2/health/ready", environment(start), start.source)


PEER = Peer("fastapi", "FastAPI + uvicorn, 2 workers", _command, ratio=8.0)
