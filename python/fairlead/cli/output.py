"""Where the command line writes: data to stdout, talk to stderr."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from fairlead.errors import FairleadError

if TYPE_CHECKING:
    from rich.console import Console


@cache
def console() -> Console:
    """Return the console on stderr that all talk (tables, progress, remarks) goes to."""
    from rich.console import Console  # not at the top: `serve` starts without it

    return Console(stderr=True, highlight=False)


def emit_json(value: Any) -> None:
    """Write `value` to stdout as one JSON document; a pydantic document is taken as it is.

    Raises `ValueError` for NaN and infinities, which JSON does not have, and `TypeError` for what is not JSON.
    """
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
    sys.stdout.flush()


def emit_text(text: str) -> None:
    """Write `text` and a line end to stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Write one plain line to stderr."""
    print(text, file=sys.stderr, flush=True)


def report(error: FairleadError) -> None:
    """Write `error: ...` and, where there is one, `hint: ...` to stderr."""
    say(f"error: {error.message}")
    if error.hint:
        say(f"hint: {error.hint}")
