"""`fairlead endpoint`: the settings of endpoints."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from fairlead.cli.output import emit_json, say
from fairlead.cli.remote import DEFAULT_URL, AsJson, Key, Url, connect, moment, show
from fairlead.errors import ControlError
from fairlead.schema.snapshot import Dispatch, Durability, Validation

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Prediction addresses and their settings.")


@app.command("set")
def put(
    name: Annotated[str, typer.Argument(help="Name of the endpoint; it is made if it is not there.")],
    validation: Annotated[Validation | None, typer.Option(help="What happens to rows that break the signature.")] = (
        None
    ),
    durability: Annotated[Durability | None, typer.Option(help="What the log promises before an answer.")] = None,
    deadline_ms: Annotated[int | None, typer.Option(min=1, help="Longest time a request may take.")] = None,
    unit_key: Annotated[str | None, typer.Option(help="Record field that names the unit (customer, card).")] = None,
    max_batch_rows: Annotated[int | None, typer.Option(min=1, help="Rows in one model call.")] = None,
    max_wait_us: Annotated[int | None, typer.Option(min=0, help="Microseconds a lone request waits.")] = None,
    queue_rows: Annotated[int | None, typer.Option(min=1, help="Rows waiting before 429.")] = None,
    dispatch: Annotated[Dispatch | None, typer.Option(help="Where the model runs; auto measures it.")] = None,
    instances: Annotated[int | None, typer.Option(min=1, help="Engine threads.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Python worker processes.")] = None,
    intra_op_threads: Annotated[int | None, typer.Option(min=1, help="Threads of one model call.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Make an endpoint, or change some of its settings; those not named stay as they are.

    Example: fairlead endpoint set fraud --unit-key card_id --durability acknowledged
    """
    own = {"validation": validation, "durability": durability, "deadline_ms": deadline_ms, "unit_key": unit_key}
    batching = {"max_rows": max_batch_rows, "max_wait_us": max_wait_us, "queue_rows": queue_rows}
    engine = {
        "dispatch": dispatch,
        "instances": instances,
        "workers": workers,
        "intra_op_threads": intra_op_threads,
    }
    path = f"/endpoints/{quote(name, safe='')}"
    with connect(url, key) as control:
        try:
            settings: dict[str, Any] = control.get(path)["settings"]
        except ControlError as error:
            if error.code != "endpoint_unknown":
                raise
            settings = {"batching": {}, "engine": {}}
        settings |= _given(own)
        settings["batching"] |= _given(batching)
        settings["engine"] |= _given(engine)
        record = control.put(path, settings)
    if json:
        emit_json(record)
    else:
        say(f"{name} is set")


@app.command("list")
def listed(url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """List the endpoints and who has which role on them.

    Example: fairlead endpoint list
    """
    with connect(url, key) as control:
        found = control.get("/endpoints")
    if json:
        emit_json(found)
        return
    show(
        ("endpoint", "champion", "challenger", "shadows", "set (UTC)", "by"),
        [
            (
                one["name"],
                _versions(one, "champion"),
                _versions(one, "challenger"),
                _versions(one, "shadow"),
                moment(one["updated_us"]),
                one["updated_by"],
            )
            for one in found
        ],
    )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _versions(endpoint: Any, role: str) -> str:
    return ", ".join(one["version"] for one in endpoint["roles"] if one["role"] == role)
