"""Are a server's answers those of onnxruntime? Asked over many connections at once, so that batches are mixed."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from benchmarks.harness.load import Aim

TOLERANCE = 1e-5
_CONNECTIONS = 16
_TIMEOUT_S = 60.0


class WrongAnswersError(Exception):
    """A server answered something else than the model says."""


def largest_difference(
    aim: Aim, expected: Sequence[NDArray[np.float32]], scores: Callable[[Any], list[float]]
) -> float:
    """The largest |answer - onnxruntime| over all bodies; `scores` reads the scores from an answer's JSON.

    Raises `WrongAnswersError` above `TOLERANCE`, for an answer other than 200 and for one that does not fit.
    """
    bodies = aim.bodies.read_bytes().splitlines()
    if len(bodies) != len(expected):
        raise ValueError(f"{len(bodies)} bodies but {len(expected)} expected answers")

    def share(first: int) -> float:
        connection = http.client.HTTPConnection("127.0.0.1", aim.port, timeout=_TIMEOUT_S)
        try:
            turns = range(first, len(bodies), _CONNECTIONS)
            return max(
                (_difference(_ask(connection, aim.path, bodies[i]), expected[i], scores) for i in turns), default=0
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        largest = max(pool.map(share, range(_CONNECTIONS)))
    if largest > TOLERANCE:
        raise WrongAnswersError(f"answers differ from onnxruntime's by {largest:g}")
    return largest


def _ask(connection: http.client.HTTPConnection, path: str, body: bytes) -> bytes:
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise WrongAnswersError(f"no answer: {error!r}") from error
    if response.status != 200:
        raise WrongAnswersError(f"answered {response.status}: {text[:300]!r}")
    return text


def _difference(text: bytes, expected: NDArray[np.float32], scores: Callable[[Any], list[float]]) -> float:
    try:
        found = np.asarray(scores(json.loads(text)), dtype=np.float64)
    except (ValueError, LookupError, TypeError) as error:
        raise WrongAnswersError(f"not the answer of this model: {text[:300]!r}") from error
    if found.shape != expected.shape or not np.isfinite(found).all():
        raise WrongAnswersError(f"{found.shape} scores instead of {expected.shape}: {text[:300]!r}")
    return float(np.abs(found - expected).max())
