"""How to start it."""

from __future__ import annotations

import json

from benchmarks.harness.processes import Command, free_port
from benchmarks.peers.peer import Peer, Start, environment


def _command(start: Start) -> Command:
    folder = start.home / "repository"
    folder.mkdir(exist_ok=True)
    settings = {
        "host": "127.0.0.1",
        "http_port": start.port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "debug": False,
        "parallel_workers": 0,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps({"name": "fraud", "implementation": "server.OnnxModel"}))
    variables = environment(start) | {"PYTHONPATH": str(start.source)}
    return Command(
        [str(start.home / "bin" / "mlserver"), "start", str(folder)],
        start.port,
        "/v2/models/fraud/ready",
        variables,
        folder,
    )


PEER = Peer("mlserver", "MLServer, model in the server's process", _command, ratio=25.0)
