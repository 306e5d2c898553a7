"""`fairlead log query` and `fairlead log info`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.output import emit_json, emit_text, say

if TYPE_CHECKING:
    from fairlead.store import EndpointLog

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Look into the prediction log.")

Directory = Annotated[Path, typer.Option("--log", help="Folder of the prediction log, as `fairlead serve` has it.")]
DEFAULT = Path("predictions")


@app.command("query")
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT over the table `predictions`.")],
    log: Directory = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list with one object per row.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header; nested values as JSON.")] = False,
) -> None:
    """Run SQL over the prediction log, also while a server writes it.

    Table `predictions` has all endpoints, `endpoint.NAME` one of them. Features are `features.NAME`, outputs
    `outputs.NAME`; times are UTC. DESCRIBE predictions lists the columns.

    Example: fairlead log query "SELECT decision, count(*) FROM predictions GROUP BY ALL" --log ./log
    """
    from fairlead.cli import rows
    from fairlead.errors import BadInputError
    from fairlead.store import PredictionLog

    if as_json and as_csv:
        raise BadInputError("--json and --csv exclude each other")
    with PredictionLog(log).query(sql) as result:
        if as_json:
            rows.write_json(result)
        elif as_csv:
            rows.write_csv(result)
        else:
            rows.write_table(result)


@app.command("info")
def info(
    log: Directory = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, an object per endpoint.")] = False,
) -> None:
    """Say what the prediction log holds: rows, times, bundles and sizes, by endpoint.

    Example: fairlead log info --log ./log
    """
    from fairlead.cli import rows
    from fairlead.store import PredictionLog

    found = PredictionLog(log).info()
    if as_json:
        emit_json([rows.plain(asdict(entry)) for entry in found])
        return
    if not found:
        say(f"no predictions in {log}")
    for entry in found:
        emit_text(_told(entry))


def _told(entry: EndpointLog) -> str:
    lines = [
        entry.endpoint,
        f"  rows      {entry.rows:,}",
        f"  from, to  {entry.first or '-'}, {entry.last or '-'}",
        f"  bundles   {', '.join(entry.bundles) or '-'}",
        f"  segments  {entry.segments:,}, {entry.bytes:,} bytes, {entry.torn_bytes:,} of them in no complete row",
    ]
    return "\n".join(lines)
