"""`fairlead outcome`: tell what became of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from fairlead.cli.output import emit_json, say
from fairlead.cli.remote import DEFAULT_URL, AsJson, Key, Url, connect, moment, show
from fairlead.errors import BadInputError

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="What became of predictions.")

Endpoint = Annotated[str, typer.Argument(help="Name of the endpoint.")]


@app.command("add")
def add(
    endpoint: Endpoint,
    prediction_id: Annotated[str | None, typer.Option(help="Of the prediction, as it was answered.")] = None,
    label: Annotated[str | None, typer.Option(help="What it was: one of the model's labels.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help=".csv, .parquet or .jsonl with prediction_id and label, and perhaps source and reported_at.",
        ),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Who says so, for outcomes that do not name their own.")] = None,
    reported_at: Annotated[str | None, typer.Option(help="When it became known, ISO 8601 [default: now].")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Tell one outcome, or a file of them; what is known already changes nothing, another label is a correction.

    Example: fairlead outcome add fraud --prediction-id 0198c2d4-11aa-7bbb-8ccc-0123456789ab --label 1
    """
    from fairlead.cli.outcome_files import read_outcomes

    one = {"prediction_id": prediction_id, "label": label, "reported_at": reported_at}
    if file is None and (prediction_id is None or label is None):
        raise BadInputError("an outcome is --prediction-id and --label, or --file")
    if file is not None and any(value is not None for value in one.values()):
        raise BadInputError("--file has its own prediction_id, label and reported_at: give one or the other")
    rows = read_outcomes(file) if file is not None else [{k: v for k, v in one.items() if v is not None}]
    with connect(url, key) as control:
        receipt = control.add_outcomes(endpoint, rows, source=source)
    if json:
        emit_json(receipt)
    else:
        say(f"{receipt['new']:,} new, {receipt['corrected']:,} corrected, {receipt['known']:,} known already")


@app.command("list")
def listed(
    endpoint: Endpoint,
    prediction_id: Annotated[str | None, typer.Option(help="Only of this prediction.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only what arrived after the outcome of this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """List outcomes in the order in which they arrived, every revision.

    Example: fairlead outcome list fraud --limit 20
    """
    with connect(url, key) as control:
        path = f"/endpoints/{quote(endpoint, safe='')}/outcomes"
        found: list[Any] = control.get(path, prediction_id=prediction_id, after=after, limit=limit)
    if json:
        emit_json(found)
        return
    show(
        ("number", "prediction", "source", "revision", "label", "reported (UTC)", "received (UTC)", "by"),
        [
            (
                one["id"],
                one["prediction_id"],
                one["source"],
                one["revision"],
                one["label"],
                moment(one["reported_us"]),
                moment(one["received_us"]),
                one["received_by"],
            )
            for one in found
        ],
    )
