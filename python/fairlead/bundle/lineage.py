"""Where a bundle came from: git, digests, DVC. No times and no machine paths, so equal inputs give equal lineage."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairlead.bundle.sample import Sample
from fairlead.bundle.sources import Origin
from fairlead.errors import BadInputError
from fairlead.schema.bundle import DvcReference, Lineage

_GIT_SECONDS = 10


def lineage_of(origin: Origin, sample: Sample, target: str | None) -> Lineage:
    """Return the lineage of a model and the sample it is packed with."""
    commit, dirty = git_state(origin.folder)
    return Lineage(
        source=origin.text,
        source_sha256=origin.sha256,
        git_commit=commit,
        git_dirty=dirty,
        data_file=sample.file,
        data_sha256=sample.sha256,
        data_rows=sample.rows,
        target=target,
        dvc=dvc_reference(sample.path) if sample.path else None,
    )


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Return the commit of the folder's repository, and whether a tracked file differs from it."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None, None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def dvc_reference(data: Path) -> DvcReference | None:
    """Return what DVC says of the file: `DATA.dvc` beside it, else an out of a `dvc.lock` above it.

    Raises `BadInputError` where DVC recorded the md5 of another content: the sample would not be what lineage says.
    """
    data = data.resolve()
    found = _beside(data) or _in_lock(data)
    if found is not None and found.hash == "md5":
        with data.open("rb") as file:
            actual = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if actual != found.digest:
            raise BadInputError(
                f"{data.name} has md5 {actual}, but {found.file} says {found.digest}",
                hint="run `dvc checkout` to get the recorded file, or `dvc commit` to record this one",
            )
    return found


def _beside(data: Path) -> DvcReference | None:
    path = data.with_name(data.name + ".dvc")
    for out in _outs(_load(path), path.name) if path.is_file() else ():
        if out.get("path") == data.name:
            return _reference(path.name, out)
    return None


def _in_lock(data: Path) -> DvcReference | None:
    for folder in data.parents:
        lock = folder / "dvc.lock"
        if lock.is_file():
            wanted = data.relative_to(folder).as_posix()
            stages = _load(lock).get("stages")
            for stage in stages.values() if isinstance(stages, dict) else ():
                for out in _outs(stage, lock.name):
                    if out.get("path") == wanted:
                        return _reference(lock.name, out)
        if (folder / ".git").exists() or (folder / ".dvc").is_dir():
            return None
    return None


def _load(path: Path) -> dict[str, Any]:
    import yaml

    try:
        # BaseLoader: a digest that has only decimal digits stays text.
        loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - makes only text
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadInputError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(loaded, dict):
        raise BadInputError(f"{path.name} is not a DVC file")
    return loaded


def _outs(document: object, name: str) -> Iterator[dict[str, Any]]:
    outs = document.get("outs") if isinstance(document, dict) else None
    if not isinstance(outs, list | None):
        raise BadInputError(f"{name} is not a DVC file: its outs are not a list")
    yield from (out for out in outs or [] if isinstance(out, dict))


def _reference(file: str, out: dict[str, Any]) -> DvcReference | None:
    kind = str(out.get("hash") or "md5")
    digest = out.get(kind)
    return DvcReference(file=file, hash=kind, digest=str(digest)) if digest else None
