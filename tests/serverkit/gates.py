"""Gates: a test holds a batch inside the model for as long as it likes, and knows when it is there."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from tests.serverkit.waiting import until

VARIABLE = "FAIRLEAD_TEST_GATES"


class Gates:
    """The folder that `moods` looks into. Give `environment` to the server; a new gate is closed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._numbers = count(1)

    @property
    def environment(self) -> dict[str, str]:
        """What the server's processes must have in their environment."""
        return {VARIABLE: str(self._folder)}

    def new(self) -> int:
        """Return the number of a closed gate."""
        return next(self._numbers)

    def wait_until_held(self, gate: int) -> None:
        """Return when a batch stands at `gate`: its worker is inside the model."""
        until((self._folder / f"{gate}.held").exists, f"a batch at gate {gate}")

    def open(self, gate: int) -> None:
        """Let everything through, now and later."""
        (self._folder / f"{gate}.open").touch()
