"""A pushed bundle on its way in: a tar stream, unpacked without trust in what it says."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import IO

import anyio.to_thread

from fairlead.errors import ControlError

SPOOL_BYTES = 16 * 1024 * 1024
MOST_FILES = 10_000


async def receive(stream: AsyncIterator[bytes], folder: Path, most_bytes: int) -> None:
    """Unpack an uncompressed tar of a bundle's files into `folder`; raises `ControlError`."""
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        size = 0
        async for piece in stream:
            size += len(piece)
            if size > most_bytes:
                raise ControlError(f"more than {most_bytes} bytes", code="bundle_too_large")
            await anyio.to_thread.run_sync(spool.write, piece)
        spool.seek(0)
        await anyio.to_thread.run_sync(_unpack, spool, folder)


def _unpack(spool: IO[bytes], folder: Path) -> None:
    try:
        with tarfile.open(fileobj=spool, mode="r:") as archive:
            for number, member in enumerate(archive):
                if number >= MOST_FILES:
                    raise _refused(f"more than {MOST_FILES} files")
                _write(archive, member, folder)
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise _refused(f"the body is no tar archive: {error}") from None


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    path = PurePosixPath(member.name)
    if member.isdir():
        return
    if not member.isreg() or path.is_absolute() or ".." in path.parts or "\0" in member.name or not path.parts:
        raise _refused(f"{member.name!r} is no plain file within the bundle")
    source = archive.extractfile(member)
    assert source is not None
    target = folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while piece := source.read(SPOOL_BYTES):
                file.write(piece)
    except (FileExistsError, NotADirectoryError):
        raise _refused(f"{member.name!r} comes twice") from None


def _refused(why: str) -> ControlError:
    return ControlError(why, code="bundle_refused")
