"""A process that writes its addresses to stdout, as JSON, once it answers; what else it says goes to stderr."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.serverkit.waiting import until

REPOSITORY = Path(__file__).parents[2]


class Telling:
    """The process, started in `folder`, where its words are kept; it finds our packages."""

    def __init__(self, what: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Start it; `what` is how failures call it."""
        self._what = what
        self._said, self._words = folder / "stdout.json", folder / "stderr.log"
        paths = os.pathsep.join([str(REPOSITORY / "python"), str(REPOSITORY)])
        with self._said.open("wb") as stdout, self._words.open("ab") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**environment, "PYTHONPATH": paths},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    def addresses(self, seconds: float) -> dict[str, str]:
        """Return what it tells; fails with its words where it ends instead."""
        return until(self._told, f"{self._what} tells its addresses", seconds=seconds)

    def _told(self) -> dict[str, str]:
        if self.process.poll() is not None:
            raise AssertionError(f"{self._what} ended with {self.process.returncode}:\n{self.stderr()}")
        try:
            told: dict[str, str] = json.loads(self._said.read_text())
        except json.JSONDecodeError:
            return {}
        return told

    def stderr(self) -> str:
        """Return everything that it has said."""
        return self._words.read_text(errors="replace")
