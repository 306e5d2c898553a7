"""Check every byte of a bundle against its manifest."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from fairlead.bundle.layout import DIGEST, MANIFEST, SHORT
from fairlead.bundle.overrides import said
from fairlead.bundle.sample import file_sha256
from fairlead.errors import BundleError
from fairlead.schema.bundle import FileEntry, Manifest

_HEX = re.compile(rb"^[0-9a-f]{64}\n$")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: the file's path in the bundle, and what."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def verify(path: str | Path) -> list[Finding]:
    """Return what is wrong with the bundle: files changed, truncated, missing or extra; empty where it is sound.

    Raises `BundleError` where `path` is not a folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise BundleError(f"no bundle folder {folder}")
    findings = [Finding(name, "is missing") for name in (MANIFEST, DIGEST) if not (folder / name).is_file()]
    if findings:
        return findings
    findings = list(_head(folder))
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        return [*findings, Finding(MANIFEST, f"is not a manifest: {said(error)}")]
    return [*findings, *_listed(folder, manifest), *_unlisted(folder, manifest)]


def _head(folder: Path) -> Iterator[Finding]:
    """Compare the manifest, DIGEST and the folder's name; two that agree show which is the third."""
    digest = (folder / DIGEST).read_bytes()
    content = (folder / MANIFEST).read_bytes()
    actual = hashlib.sha256(content).hexdigest()
    if digest == f"{actual}\n".encode():
        return
    named = folder.resolve().name.rpartition("-")[2]
    if not _HEX.match(digest):
        yield Finding(DIGEST, "is not a sha256 and a line end")
    elif named == actual[:SHORT]:
        yield Finding(DIGEST, f"is not the sha256 of {MANIFEST}")
        return
    if named == actual[:SHORT]:
        return
    yield Finding(MANIFEST, f"has sha256 {actual[:SHORT]}…, which is not what {DIGEST} says")


def _listed(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    seen: set[str] = set()
    for entry in manifest.files:
        pure = PurePosixPath(entry.path)
        if pure.is_absolute() or ".." in pure.parts or entry.path in (MANIFEST, DIGEST):
            yield Finding(MANIFEST, f"names a path that no bundle may have: {entry.path!r}")
        elif entry.path in seen:
            yield Finding(MANIFEST, f"names {entry.path!r} twice")
        else:
            yield from _file(folder / entry.path, entry)
        seen.add(entry.path)


def _file(path: Path, entry: FileEntry) -> Iterator[Finding]:
    if path.is_symlink():
        yield Finding(entry.path, "is a link")
    elif not path.is_file():
        yield Finding(entry.path, "is missing")
    elif path.stat().st_size != entry.size:
        yield Finding(entry.path, f"has {path.stat().st_size} bytes where the manifest says {entry.size}")
    else:
        actual = file_sha256(path)
        if actual != entry.sha256:
            yield Finding(entry.path, f"has sha256 {actual[:SHORT]}… where the manifest says {entry.sha256[:SHORT]}…")


def _unlisted(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    known = {entry.path for entry in manifest.files} | {MANIFEST, DIGEST}
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted([*files, *links]):
            relative = (Path(parent) / name).relative_to(folder).as_posix()
            if relative not in known:
                yield Finding(relative, "is not in the manifest")
