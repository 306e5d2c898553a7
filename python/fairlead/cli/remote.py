"""What the commands have in common that speak to a control plane."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fairlead.client import ControlClient

PIPE_WIDTH = 1_000
DEFAULT_URL = "http://127.0.0.1:8090"

Url = Annotated[str, typer.Option("--url", envvar="FAIRLEAD_URL", help="Address of the control plane.")]
Key = Annotated[
    str | None, typer.Option("--key", envvar="FAIRLEAD_KEY", show_envvar=True, help="API key, where one is needed.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write the answer to stdout as JSON.")]


def connect(url: str, key: str | None) -> ControlClient:
    """Return a client of the control plane at `url`."""
    from fairlead.client import ControlClient

    return ControlClient(url, key=key)


def show(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table to stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    # Programs that read it get each row on one line.
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False).print(table)


def moment(microseconds: int) -> str:
    """Return a time as people write it, in UTC."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
