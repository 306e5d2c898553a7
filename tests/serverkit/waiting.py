"""Waiting for a condition with a deadline, in place of sleeping for a guess."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PULSE = threading.Event()  # never set: a wait that no signal handler shortens


def until(condition: Callable[[], T], what: str, *, seconds: float = 10.0, every: float = 0.01) -> T:
    """Return the first true value of `condition`; fails naming `what` where none came within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {value!r}")
        _PULSE.wait(every)
