"""`fairlead verify`: every byte of a bundle against its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.output import emit_json, emit_text


def verify(
    path: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    json: Annotated[bool, typer.Option("--json", help="Write the findings to stdout as JSON.")] = False,
) -> None:
    """Check a bundle: exit code 0 where it is sound, 1 where a file was changed, cut, lost or added.

    Example: fairlead verify bundles/fraud-0123456789ab
    """
    from fairlead.bundle import verify as check

    findings = check(path)
    if json:
        emit_json({"ok": not findings, "findings": [{"path": f.path, "problem": f.problem} for f in findings]})
    else:
        for finding in findings:
            emit_text(str(finding))
        if not findings:
            emit_text("ok")
    if findings:
        raise typer.Exit(1)
