"""`fairlead apply`: declare what is in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.output import emit_json, say
from fairlead.cli.remote import DEFAULT_URL, AsJson, Key, Url, connect


def apply(
    file: Annotated[
        Path, typer.Option("--file", "-f", help="YAML or JSON; several YAML documents are applied in order.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Declare rollouts, and start those that are new or changed; the same file again changes nothing.

    Example: fairlead apply -f rollout.yaml --dry-run
    """
    from fairlead.cli.documents import read_rollouts

    documents = read_rollouts(file)
    answers = []
    with connect(url, key) as control:
        for document in documents:
            path = "/rollouts?dry_run=true" if dry_run else "/rollouts"
            answers.append(control.put(path, document.model_dump(mode="json")))
    if json:
        emit_json(answers)
        return
    for answer in answers:
        for one in answer["differences"]:
            say(f"  {one['field']}: {one['first']} -> {one['second']}")
        say(f"rollout {answer['name']} {'would be ' if dry_run else ''}{answer['change']}")
