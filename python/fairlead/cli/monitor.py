"""`fairlead monitor`: what changed, and how much it matters."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.output import emit_json, say
from fairlead.schema.comparison import Convention, Severity, Verdict

if TYPE_CHECKING:
    from fairlead.schema.comparison import Comparison
    from fairlead.store.columns import Frame

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Find out what changed, and how much it matters.")


@app.callback()
def _group() -> None:
    """A group also while it has one command."""


class FailOn(StrEnum):
    """What makes the exit code 1."""

    DRIFT = "drift"
    SMALL = "small"
    MODERATE = "moderate"
    LARGE = "large"
    NEVER = "never"


@app.command("compare")
def compare(
    reference: Annotated[Path, typer.Argument(help="What is normal: a Parquet, CSV or Arrow file.")],
    current: Annotated[Path, typer.Argument(help="What is to be looked at.")],
    columns: Annotated[str | None, typer.Option(help="Only these columns, with commas between; default: all.")] = None,
    target: Annotated[str | None, typer.Option(help="The column that holds the truth.")] = None,
    prediction: Annotated[str | None, typer.Option(help="The column that holds score, label or number.")] = None,
    positive: Annotated[
        str | None, typer.Option(help="The target's label that scores are of; default: 1 or true.")
    ] = None,
    threshold: Annotated[float, typer.Option(help="The score from which on it is decided.")] = 0.5,
    convention: Annotated[
        Convention, typer.Option(help="Whose bins, measures and thresholds decide.")
    ] = Convention.FAIRLEAD,
    tolerance: Annotated[
        float, typer.Option(help="Shifts up to this size, in standard deviations, are no drift.")
    ] = 0.1,
    level: Annotated[float, typer.Option(help="Chance of any false drift, over all columns together.")] = 0.05,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit code 1 from this severity on; `drift`: whatever the severity.")
    ] = FailOn.MODERATE,
    html: Annotated[Path | None, typer.Option(help="Write a page that needs nothing else.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Write the comparison to stdout as JSON.")] = False,
) -> None:
    """Compare two tables: drift, data quality and, with targets, performance.

    Exit code 1 where something drifted, broke or became worse by at least --fail-on.

    Example: fairlead monitor compare train.parquet yesterday.parquet --html report.html
    """
    from concurrent.futures import ThreadPoolExecutor

    from fairlead.monitor.comparison import compare as compare_frames
    from fairlead.monitor.question import Question

    question = Question(convention, level, tolerance, target, prediction, positive, threshold)
    known, seen = _frames(reference, current, _chosen(columns, target, prediction))
    with ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)))) as pool:  # numpy sorts without the GIL
        found = compare_frames(known, seen, question, pool.map)
    if html is not None:
        _write_page(html, found)
    if json:
        emit_json(found)
    else:
        from fairlead.cli.comparison_view import show_comparison

        show_comparison(found)
    if fails(found, fail_on):
        raise typer.Exit(1)


def fails(found: Comparison, fail_on: FailOn) -> bool:
    """Whether the comparison found what `fail_on` names."""
    if fail_on is FailOn.NEVER:
        return False
    if fail_on is FailOn.DRIFT:
        return found.verdict is Verdict.DRIFTED
    return found.severity.rank >= Severity(fail_on.value).rank


def _chosen(columns: str | None, *roles: str | None) -> list[str] | None:
    from fairlead.errors import BadInputError

    if columns is None:
        return None
    names = [name.strip() for name in columns.split(",")]
    if not all(names):
        raise BadInputError(f"--columns: expected names with commas between, got {columns!r}")
    return [*names, *(role for role in roles if role is not None)]


def _frames(reference: Path, current: Path, chosen: list[str] | None) -> tuple[Frame, Frame]:
    from fairlead.errors import BadInputError
    from fairlead.store.tables import column_names, read_frame

    if chosen is not None:
        known = column_names(reference)
        absent = [name for name in chosen if name not in known]
        if absent:
            hint = f"its columns are: {', '.join(known)}"
            raise BadInputError(f"{reference.name} has no column {absent[0]!r}", hint=hint)
    return read_frame(reference, chosen), read_frame(current, chosen)


def _write_page(path: Path, found: Comparison) -> None:
    from fairlead.errors import BadInputError
    from fairlead.monitor.page import page_of

    try:
        path.write_text(page_of(found), encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"{path} cannot be written: {error.strerror}") from error
    say(f"written: {path}")
