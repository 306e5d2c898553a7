"""How to start it."""

from __future__ import annotations

from benchmarks.harness.processes import Command
from benchmarks.peers.peer import OIP_READY, Peer, Start, environment, python_of


def _command(start: Start) -> Command:
    return Command([python_of(start), "server.py"], start.port, OIP_READY, environment(start), start.source)


PEER = Peer("kserve", "KServe Python server", _command, ratio=25.0)
