"""Where the chapters with the control plane play."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fairlead.demo.challengers import Source
from fairlead.demo.flow import Flow
from fairlead.demo.planes import Planes
from fairlead.errors import FairleadError

LOOK_SECONDS = 0.1
END_SECONDS = 150.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Both planes, the traffic, and where to tell the story."""

    source: Source
    planes: Planes
    flow: Flow
    example: str
    """Body of one of the traffic's requests."""
    say: Callable[[str], None]

    @property
    def endpoint(self) -> str:
        """The endpoint's name."""
        return self.source.material.endpoint

    @property
    def positive(self) -> object:
        """The decision that declines."""
        decision = self.source.champion.signature.decision
        assert decision is not None  # a classifier's bundle has one
        return decision.labels[1]

    @contextmanager
    def patience(self, what: str) -> Iterator[Callable[[], None]]:
        """Give a function that waits a moment, and raises `FairleadError` when it waited too long or in vain."""
        deadline = time.monotonic() + END_SECONDS

        def wait() -> None:
            self.planes.check_alive()
            self.flow.check_alive()
            if time.monotonic() > deadline:
                raise FairleadError(f"waited {END_SECONDS:.0f} s for {what}")
            time.sleep(LOOK_SECONDS)

        yield wait
