"""How to start it."""

from __future__ import annotations

from benchmarks.harness.processes import Command
from benchmarks.peers.peer import Peer, Start, environment


def _command(start: Start) -> Command:
    argv = [str(start.home / "bin" / "granian"), "--interface", "rsgi", "--workers", "1", "--loop", "uvloop"]
    argv += ["--host", "127.0.0.1", "--port", str(start.port), "--no-ws", "--log-level", "warning", "server:app"]
    return Command(argv, start.port, "/v2/health/ready", environment(start), start.source)


PEER = Peer("granian", "granian RSGI + in-process micro-batching, 1 worker", _command, ratio=2.3)
