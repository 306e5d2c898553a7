"""A model that does what its rows ask for: the batch function that the Python engine is tested with.

Goes into a bundle as it stands, so it imports nothing of the tests. Each row has an `amount`, which is answered
doubled, a `wish` (one of the constants below), and a `gate`: 0, or the number of a file in the folder that the
environment variable FAIRLEAD_TEST_GATES names. The batch waits until that file is there.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ANSWER = 0
DIE = 1
HANG = 2
DEVOUR = 3
RAISE = 4
TOIL = 5

EXIT_CODE = 86
"""What a worker that was asked to die exits with."""
PIECE = 32 * 1024 * 1024
TOIL_SECONDS = 0.005
LAST_WORDS = "no such amount"


def answer(batch: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return twice the amounts, after whatever the rows ask for."""
    for gate in {int(gate) for gate in batch["gate"] if gate}:
        _wait_at(gate)
    wishes = {int(wish) for wish in batch["wish"]}
    if DIE in wishes:
        os._exit(EXIT_CODE)
    if DEVOUR in wishes:
        _devour()
    if RAISE in wishes:
        raise ValueError(LAST_WORDS)
    if TOIL in wishes:
        _toil()
    while HANG in wishes:
        time.sleep(0.05)
    return batch["amount"] * 2.0


def _wait_at(gate: int) -> None:
    folder = Path(os.environ["FAIRLEAD_TEST_GATES"])
    (folder / f"{gate}.held").touch()
    while not (folder / f"{gate}.open").exists():
        time.sleep(0.002)


def _devour() -> None:
    eaten = []
    while True:
        eaten.append(np.ones(PIECE, dtype=np.uint8))


def _toil() -> None:
    done = time.perf_counter() + TOIL_SECONDS
    while time.perf_counter() < done:
        pass
