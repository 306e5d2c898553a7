"""`fairlead key`: who may speak to the control plane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.output import emit_json, emit_text, say
from fairlead.cli.remote import DEFAULT_URL, AsJson, Key, Url, connect, moment, show
from fairlead.errors import BadInputError
from fairlead.schema.control import KeyRole

if TYPE_CHECKING:
    from fairlead.schema.control import NewKey

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, help="API keys: replica, viewer, operator, approver, admin."
)

Name = Annotated[str, typer.Argument(help="Whose key it is; written beside everything done with it.")]


@app.command("create")
def create(
    name: Name,
    role: Annotated[KeyRole, typer.Option(help="What it may do; each from viewer on includes those before it.")],
    database_url: Annotated[
        str | None, typer.Option(help="Write to the database itself: for the first key of a control plane.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="The same, for `fairlead up --data-dir`.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Make an API key and write it to stdout, this once: only its digest is kept.

    Example: fairlead key create ci --role operator
    """
    if database_url is not None or data_dir is not None:
        made = _direct(name, role, database_url, data_dir).model_dump(mode="json")
    else:
        with connect(url, key) as control:
            made = control.post("/keys", {"name": name, "role": role.value})
    if json:
        emit_json(made)
        return
    say(f"{name}, {role.value}; keep it, it is not shown again")
    emit_text(made["key"])


@app.command("list")
def listed(url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """List the keys, without what they are.

    Example: fairlead key list
    """
    with connect(url, key) as control:
        found = control.get("/keys")
    if json:
        emit_json(found)
        return
    show(
        ("name", "role", "created (UTC)", "by", "revoked (UTC)"),
        [
            (
                one["name"],
                one["role"],
                moment(one["created_us"]),
                one["created_by"],
                None if one["revoked_us"] is None else moment(one["revoked_us"]),
            )
            for one in found
        ],
    )


@app.command("revoke")
def revoke(name: Name, url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """Make a key invalid for good.

    Example: fairlead key revoke ci
    """
    with connect(url, key) as control:
        record = control.delete(f"/keys/{name}")
    if json:
        emit_json(record)
    else:
        say(f"{name} is revoked")


def _direct(name: str, role: KeyRole, database_url: str | None, data_dir: Path | None) -> NewKey:
    from pydantic import ValidationError

    from fairlead.cli.serve import first_error
    from fairlead.cli.up import need_control, sqlite_url

    need_control()
    from fairlead.control.access import make_key
    from fairlead.schema.control import KeyRequest
    from fairlead.store.state import Database

    try:
        wish = KeyRequest(name=name, role=role)
    except ValidationError as error:
        raise BadInputError(first_error(error)) from None
    if database_url is None:
        assert data_dir is not None
        data_dir.mkdir(parents=True, exist_ok=True)
        database_url = sqlite_url(data_dir)
    database = Database(database_url)
    try:
        database.migrate()
        with database.change() as transaction:
            return make_key(transaction, wish, "command line")
    finally:
        database.close()
