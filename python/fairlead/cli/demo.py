"""`fairlead demo`: the whole path on one machine in two or three minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.output import console, emit_json, say
from fairlead.errors import BadInputError, FairleadError

INTERRUPTED = 130


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("out/demo"),
    data: Annotated[Path | None, typer.Option(help="Your own data, .parquet or .csv [default: simulated].")] = None,
    label: Annotated[str | None, typer.Option(help="With --data: the column to predict, two values.")] = None,
    weight: Annotated[str | None, typer.Option(help="With --data: column with the rows' sampling weights.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="With --data: column to leave out; repeatable.")] = None,
    keep_leaks: Annotated[
        bool, typer.Option("--keep-leaks", help="With --data: keep columns that nearly equal the label.")
    ] = False,
    fast: Annotated[bool, typer.Option("--fast", help="A small world and short traffic.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the endpoint running at the end.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the server; 0 takes any.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated world, and of random splits.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Write the summary to stdout as JSON.")] = False,
) -> int:
    """Train a prototype, pack it, serve it under live traffic, check the log; then roll versions out, good and bad.

    Example: fairlead demo --data payments.parquet --label is_fraud
    """
    from fairlead.demo.chapters import failure_of, run
    from fairlead.demo.options import FAST, FULL, DataFile, DemoOptions
    from fairlead.demo.summary import document, show, write

    if (data is None) != (label is None):
        raise BadInputError("--data and --label go together", hint="see `fairlead demo --help`")
    if data is None and (weight or drop or keep_leaks):
        raise BadInputError("--weight, --drop and --keep-leaks say something of --data, which is not given")
    file = None
    if data is not None and label is not None:
        file = DataFile(path=data, label=label, weight=weight, drop=tuple(drop or ()), keep_leaks=keep_leaks)
    options = DemoOptions(out=out, pace=FAST if fast else FULL, seed=seed, port=port, keep=keep, file=file)
    try:
        outcome = run(options, console())
    except KeyboardInterrupt:
        say("interrupted: servers and traffic were stopped")
        return INTERRUPTED
    write(outcome)
    show(outcome, console())
    if json:
        emit_json(document(outcome))
    if (failure := failure_of(outcome)) is not None:
        raise FairleadError(failure)
    return 0
