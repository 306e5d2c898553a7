"""How to start it, and its own JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.harness.processes import Command
from benchmarks.peers.peer import Peer, Start, environment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def _command(start: Start) -> Command:
    argv = [str(start.home / "bin" / "bentoml"), "serve", "server:Fraud", "--host", "127.0.0.1"]
    argv += ["--port", str(start.port), "--quiet"]
    variables = environment(start) | {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(start.home / "bento")}
    return Command(argv, start.port, "/readyz", variables, start.source)


def _request(row: NDArray[np.float32]) -> str:
    return json.dumps({"rows": [[float(str(value)) for value in row]]}, separators=(",", ":"))


def _scores(answer: Any) -> list[float]:
    return [row[1] for row in answer]


PEER = Peer(
    "bentoml", "BentoML, adaptive batching", _command, ratio=25.0, path="/predict", request=_request, scores=_scores
)
