"""`fairlead registry`: bundles, their roles and tags."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from fairlead.cli.output import emit_json, emit_text, say
from fairlead.cli.remote import DEFAULT_URL, AsJson, Key, Url, connect, moment, show
from fairlead.errors import BadInputError
from fairlead.schema.registry import RegistryRole

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Versions of models: push, compare, assign.")

Digits = Annotated[str, typer.Argument(metavar="SHA256", help="The bundle's sha256, or its first digits (6 or more).")]
SHORT = 12


@app.command("push")
def push(
    path: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Verify a bundle and add it to the registry; its sha256 is written to stdout.

    Example: fairlead registry push bundles/fraud-0123456789ab
    """
    with connect(url, key) as control:
        record = control.push(path)
    if json:
        emit_json(record)
        return
    say(f"{record['name']} version {record['version']}, {record['size']:,} bytes")
    emit_text(record["sha256"])


@app.command("list")
def listed(
    name: Annotated[str | None, typer.Option(help="Only bundles of this name.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """List the bundles.

    Example: fairlead registry list --name fraud
    """
    with connect(url, key) as control:
        found = control.get("/bundles", name=name)
    if json:
        emit_json(found)
        return
    columns = ("name", "version", "sha256", "engine", "bytes", "pushed (UTC)", "by", "tags")
    show(
        columns,
        [
            (
                one["name"],
                one["version"],
                one["sha256"][:SHORT],
                one["engine"],
                f"{one['size']:,}",
                moment(one["pushed_us"]),
                one["pushed_by"],
                _tags(one),
            )
            for one in found
        ],
    )


@app.command("show")
def shown(sha256: Digits, url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """Show what the registry knows of a bundle.

    Example: fairlead registry show 0123456789ab
    """
    with connect(url, key) as control:
        found = control.get(f"/bundles/{sha256}")
    if json:
        emit_json(found)
        return
    record, documents = found["record"], found["documents"]
    parity, lineage = documents["checks"]["parity"], documents["lineage"]
    inputs = ", ".join(feature["name"] for feature in documents["signature"]["features"])
    facts: dict[str, Any] = {
        "name": record["name"],
        "version": record["version"],
        "sha256": record["sha256"],
        "engine": record["engine"],
        "pushed": f"{moment(record['pushed_us'])} UTC by {record['pushed_by']}",
        "location": record["location"],
        "features": inputs or ", ".join(tensor["name"] for tensor in documents["signature"]["inputs"]),
        "parity": None if parity is None else f"largest difference {parity['largest_difference']:g}",
        "source": lineage["source"],
        "git commit": lineage["git_commit"],
        "tags": _tags(record),
    }
    facts |= {f"on {one['endpoint']}": f"{one['role']} since {moment(one['since_us'])} UTC" for one in found["roles"]}
    show(("", ""), [(name, value) for name, value in facts.items() if value not in (None, "")])


@app.command("diff")
def diff(
    first: Annotated[str, typer.Argument(metavar="FIRST", help="sha256 of a bundle, or its first digits.")],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="sha256 of the other.")],
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Compare two bundles: signature, reference profile, checks, lineage, environment.

    Exit code 0 where a caller of the first can call the second, else 1.

    Example: fairlead registry diff 0123456789ab ba9876543210
    """
    with connect(url, key) as control:
        found = control.get(f"/bundles/{first}/diff/{second}")
    if json:
        emit_json(found)
    else:
        parts = ("signature", "profile", "checks", "lineage", "environment")
        show(
            ("part", "field", f"version {found['first']['version']}", f"version {found['second']['version']}"),
            [(part, one["field"], one["first"], one["second"]) for part in parts for one in found[part]],
        )
        for line in found["incompatibilities"]:
            say(f"incompatible: {line}")
    if not found["compatible"]:
        raise typer.Exit(1)


@app.command("history")
def history(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    at: Annotated[str | None, typer.Option(help="Only who was champion at this time (ISO 8601, UTC).")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Show who had which role on an endpoint, newest first.

    Example: fairlead registry history fraud --at 2026-03-01T12:00:00
    """
    path = f"/endpoints/{quote(endpoint, safe='')}"
    with connect(url, key) as control:
        found = control.get(f"{path}/history") if at is None else control.get(f"{path}/roles/champion", at=at)
    if json:
        emit_json(found)
        return
    moves = found if at is None else [found]
    show(
        ("at (UTC)", "version", "sha256", "from", "to", "by", "reason"),
        [
            (
                moment(one["at_us"]),
                one["version"],
                one["sha256"][:SHORT],
                one["from_role"],
                one["to_role"],
                one["actor"],
                one["reason"],
            )
            for one in moves
        ],
    )


@app.command("tag")
def tag(
    sha256: Digits,
    tags: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Tags to set; KEY= removes one.")],
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Set or remove tags of a bundle.

    Example: fairlead registry tag 0123456789ab ticket=RISK-17 draft=
    """
    wanted = [text.partition("=") for text in tags]
    for name, equals, _ in wanted:
        if not name or not equals:
            raise BadInputError(f"{name!r} is no KEY=VALUE")
    record: Any = None
    with connect(url, key) as control:
        for name, _, value in wanted:
            path = f"/bundles/{sha256}/tags/{quote(name, safe='')}"
            record = control.put(path, {"value": value}) if value else control.delete(path)
    if json:
        emit_json(record)
    else:
        emit_text(_tags(record))


@app.command("assign")
def assign(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    role: Annotated[RegistryRole, typer.Argument(help="The role to give.")],
    sha256: Digits,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
    allow_incompatible: Annotated[
        bool, typer.Option("--allow-incompatible", help="Replace the champion by one with another signature.")
    ] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Give a bundle a role on an endpoint; who had a single role before is archived.

    Example: fairlead registry assign fraud champion 0123456789ab --reason "first release"
    """
    body = {"sha256": sha256, "reason": reason, "allow_incompatible": allow_incompatible}
    with connect(url, key) as control:
        moves = control.put(f"/endpoints/{quote(endpoint, safe='')}/roles/{role.value}", body)
    if json:
        emit_json(moves)
        return
    for move in reversed(moves):
        say(f"{endpoint}: version {move['version']} is {move['to_role']}, was {move['from_role'] or 'nothing'}")
    if not moves:
        say(f"{endpoint}: it is {role.value} already")


def _tags(record: Any) -> str:
    return " ".join(f"{name}={value}" for name, value in record["tags"].items())
