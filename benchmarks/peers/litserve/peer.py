"""How to start it."""

from __future__ import annotations

from benchmarks.harness.processes import Command
from benchmarks.peers.peer import Peer, Start, environment, python_of


def _command(start: Start) -> Command:
    return Command([python_of(start), "server.py"], start.port, "/health", environment(start), start.source)


PEER = Peer("litserve", "LitServe, batches of up to 64", _command, ratio=25.0)
