"""Our end of the steady traffic: who is sent, when a stretch of it begins, and what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.demo.material import Material
from fairlead.demo.options import Pace
from fairlead.demo.processes import spawn, stop, tail
from fairlead.demo.records import bodies, write_bodies
from fairlead.demo.stream import ANSWER_SECONDS, OK, StreamPlan
from fairlead.errors import FairleadError

CONNECTIONS = 128
"""Enough that a slow variant does not hold up the requests of the other."""
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of one or more stretches, all requests answered."""

    requests: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    """Status other than 200 -> answers."""
    versions: dict[str, int] = field(default_factory=dict)
    """Version -> answers."""
    last: dict[str, float] = field(default_factory=dict)
    """Version -> when it last answered, by `time.monotonic`."""
    slowest_ms: float = 0.0

    @property
    def failures(self) -> int:
        """Answers other than 200."""
        return sum(self.failed.values())

    @classmethod
    def of(cls, stretches: Sequence[dict[str, Any]]) -> Tally:
        """Add stretches up."""
        statuses: Counter[str] = Counter()
        versions: Counter[str] = Counter()
        last: dict[str, float] = {}
        for stretch in stretches:
            statuses.update(stretch["statuses"])
            versions.update(stretch["versions"])
            last |= {name: max(at, last.get(name, 0.0)) for name, at in stretch["last"].items()}
        return cls(
            requests=sum(stretch["sent"] for stretch in stretches),
            failed={status: count for status, count in statuses.items() if status != str(OK)},
            versions=dict(versions),
            last=last,
            slowest_ms=1_000 * max((stretch["slowest"] for stretch in stretches), default=0.0),
        )


class Flow:
    """The traffic under way."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        """Read what it says, in a thread."""
        self._process, self._errors = process, errors
        self._stretches: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def begin(self) -> int:
        """Begin a stretch and return its number. Raises `FairleadError` where the traffic has failed."""
        known = len(self._stretches)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._reader.join(ANSWER_SECONDS)
        self._until(lambda: len(self._stretches) > max(known, 1))
        return len(self._stretches) - 1

    def tally(self, first: int, last: int | None = None) -> Tally:
        """Return what came of the stretches from `first` to before `last`, all of them over, when all is answered."""
        end = len(self._stretches) - 1 if last is None else last

        def answered() -> bool:
            return all(one["sent"] == sum(one["statuses"].values()) for one in self._stretches[first:end])

        self._until(answered)
        return Tally.of(self._stretches[first:end])

    def check_alive(self) -> None:
        """Raise `FairleadError` where it has ended."""
        if not self._reader.is_alive():
            raise FairleadError(f"the traffic failed: {tail(self._errors)}")

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while not condition():
            self.check_alive()
            if time.monotonic() > deadline:
                raise FairleadError(f"no news of the traffic for {ANSWER_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._stretches = json.loads(line)["stretches"]


def stream_bodies(material: Material, pace: Pace, seed: int) -> list[str]:
    """Return one request for each of `pace.stream_units` units, in no particular order.

    Each is a payment of the first live stretch. Where that has fewer units, their payments come again in the name of
    others: a canary by units needs more of them than a small world has.
    """
    assert material.unit is not None
    name, units = material.unit
    random = np.random.default_rng(seed)
    rows = random.permutation(material.live[0].rows)
    found: list[str] = []
    copies = 0
    while len(found) < pace.stream_units:
        # Another permutation is another payment of most units.
        _, first = np.unique(units[rows], return_index=True)
        chosen = random.permutation(rows[first])[: pace.stream_units - len(found)]
        named = np.array([f"{unit}-{copies}" for unit in units[chosen]], dtype=object)
        found += bodies(material, chosen, (name, named))
        rows, copies = random.permutation(rows), copies + 1
    return found


@contextmanager
def flowing(url: str, endpoint: str, requests: list[str], pace: Pace, folder: Path) -> Iterator[Flow]:
    """Send live traffic from a process of its own for as long as the block lasts."""
    file, errors = folder / "stream.requests", folder / "stream.err"
    write_bodies(file, requests)
    plan = StreamPlan(
        url=url,
        path=f"/v1/endpoints/{endpoint}:predict",
        bodies=str(file),
        rate=pace.stream_rate,
        connections=CONNECTIONS,
    )
    document = folder / "stream.json"
    document.write_text(json.dumps(asdict(plan), indent=2), encoding="utf-8")
    process = spawn([sys.executable, "-m", "fairlead.demo.stream", str(document)], errors, tied=True, told=True)
    try:
        yield Flow(process, errors)
    finally:
        stop(process)
