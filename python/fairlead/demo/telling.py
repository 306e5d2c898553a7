"""How the story is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def chapter(console: Console, title: str) -> Iterator[None]:
    """Tell of a chapter's beginning, and how long it took."""
    console.print(f"[bold]{title}[/bold] ...")
    begin = time.monotonic()
    yield
    console.print(f"  done in {time.monotonic() - begin:.1f} s")
