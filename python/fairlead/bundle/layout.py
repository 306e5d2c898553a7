"""A bundle's folder: written whole or not at all, named by its content."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fairlead.errors import BundleError
from fairlead.schema.bundle import FileEntry, Manifest

MANIFEST = "manifest.json"
DIGEST = "DIGEST"
SIGNATURE = "signature.json"
PROFILE = "profile.json"
LINEAGE = "lineage.json"
CHECKS = "checks.json"
ENVIRONMENT = "environment.json"
GOLDEN = "golden.json"
CODE_FOLDER = "code"
SHORT = 12
"""Digits of the sha256 in the folder's name."""


def file_entries(files: Mapping[str, bytes]) -> list[FileEntry]:
    """Return the manifest's list of files, in the order of their paths."""
    return [
        FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for path, content in sorted(files.items())
    ]


@contextmanager
def draft(out: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write the bundle to a temporary folder in `out` and yield it; the folder is gone afterwards.

    Raises `BundleError` where it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{manifest.name}-", dir=out))
    except OSError as error:
        raise BundleError(f"cannot write to {out}: {error.strerror}") from error
    try:
        folder.chmod(0o755)  # mkdtemp makes it private; a bundle is for others to serve
        content = manifest.canonical_json()
        digest = hashlib.sha256(content).hexdigest()
        for path, data in {**files, MANIFEST: content, DIGEST: f"{digest}\n".encode()}.items():
            _write(folder / path, data)
        yield folder
    except OSError as error:
        raise BundleError(f"cannot write to {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # the rename must not reach the disk before the content
