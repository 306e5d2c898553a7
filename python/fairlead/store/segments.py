"""Segments of the prediction log as files: which there are, and the record batches that each holds.

`DIR/<endpoint>/<name>.arrow` is closed, `<name>.arrow.open` is being written; both are Arrow IPC streams. The
writer and its retention go on while we read: a segment may grow, be renamed from open to closed, or vanish.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from fairlead.errors import BadInputError, LogError

CLOSED = ".arrow"
OPEN = ".arrow.open"


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment as it was when the log was listed. Readers never look past `size`, so that they all see the same."""

    endpoint: str
    stem: Path
    """Its path without `.arrow` or `.arrow.open`: the part that a rename leaves."""
    size: int
    """Bytes."""
    schema: pa.Schema | None
    """None where the file ends before its schema does: it holds no rows."""


@dataclass(slots=True)
class Progress:
    """How far `read_batches` came: rows handed out, the byte after the last, and bytes that made no complete row."""

    rows: int = 0
    end: int = 0
    torn: int = 0


def find_segments(directory: Path) -> list[Segment]:
    """List the segments under `directory`, oldest name first within each endpoint.

    Raises `BadInputError` where `directory` is not a folder, `LogError` where it or a segment cannot be read.
    """
    if not directory.is_dir():
        raise BadInputError(
            f"no prediction log at {directory}", hint="give the folder that `fairlead serve --log` names"
        )
    # A file renamed while its folder is listed may appear under neither name. It is found by the second listing.
    stems = _stems(directory) | _stems(directory)
    segments = (look_at(stem) for stem in sorted(stems))
    return [segment for segment in segments if segment is not None]


def stems_of(directory: Path, endpoint: str) -> list[Path]:
    """List the segments of one endpoint by their paths without suffix, oldest name first; none where it has no log.

    Raises as `find_segments`.
    """
    if not directory.is_dir():
        raise BadInputError(
            f"no prediction log at {directory}", hint="give the folder that `fairlead serve --log` names"
        )
    folder = directory / endpoint
    return sorted(_within([folder]) | _within([folder])) if folder.is_dir() else []


def read_batches(segment: Segment, progress: Progress | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the record batches that were complete when the segment was listed; none where it has vanished since.

    With the `progress` of an earlier reading of the same segment it goes on where that one stopped.

    A last message that is cut off ends the segment. Raises `LogError` where a message is whole but not readable.
    """
    progress = progress or Progress()
    source = _open(segment.stem)
    if source is None:
        return
    with source:
        for batch in _complete_batches(segment, source, progress):
            progress.rows += batch.num_rows
            yield batch
    progress.torn = max(0, segment.size - progress.end)


def _complete_batches(segment: Segment, source: Any, progress: Progress) -> Iterator[pa.RecordBatch]:
    if segment.schema is None:
        return
    done = progress.end if progress.rows else 0
    try:
        reader = ipc.open_stream(source)
        progress.end = max(done, source.tell())
        while True:
            batch = reader.read_next_batch()
            if source.tell() > segment.size:  # written after the listing
                return
            if done:  # the first batch came with the dictionaries of all: the rest of what is known is skipped
                source.seek(done)
                done = 0
                continue
            batch.validate(full=True)  # DuckDB trusts offsets; a damaged file must not reach it
            progress.end = source.tell()
            yield batch
    except StopIteration:
        progress.end = source.tell()
    except (pa.ArrowInvalid, OSError) as error:
        if not _is_cut_off(source, segment.size):
            raise _damaged(segment.stem, progress, error) from error


def _stems(directory: Path) -> set[Path]:
    try:
        folders = [folder for folder in directory.iterdir() if folder.is_dir()]
    except OSError as error:
        raise LogError(f"cannot list {directory}: {error.strerror}") from error
    return _within(folders)


def _within(folders: Iterable[Path]) -> set[Path]:
    names: list[Path] = []
    for folder in folders:
        try:
            names += folder.iterdir()
        except OSError as error:
            raise LogError(f"cannot list {folder}: {error.strerror}") from error
    return {
        path.with_name(path.name.removesuffix(suffix))
        for path in names
        for suffix in (CLOSED, OPEN)
        if path.name.endswith(suffix)
    }


def _open(stem: Path) -> Any | None:
    """Open the segment under whichever name it has now; None where retention has removed it."""
    # Open, closed and again open: a writer renames only one way, but it may be between the two looks.
    for suffix in (OPEN, CLOSED):
        path = stem.with_name(stem.name + suffix)
        try:
            # Not a memory map: recovery may truncate a torn segment, and that would kill a process which maps it.
            return pa.OSFile(str(path), "rb")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LogError(f"cannot open {path}: {error}") from error
    return None


def look_at(stem: Path) -> Segment | None:
    """Return the segment as it is now; None where retention has removed it. Raises `LogError`."""
    source = _open(stem)
    if source is None:
        return None
    with source:
        size = source.size()
        schema = None
        try:
            schema = ipc.open_stream(source).schema
        except (pa.ArrowInvalid, OSError) as error:
            if not _is_cut_off(source, size):
                raise _damaged(stem, Progress(), error) from error
    return Segment(stem.parent.name, stem, size, schema)


def _is_cut_off(source: Any, size: int) -> bool:
    # Whoever misses bytes has read up to the end to find them; whoever stops before it does not like what it read.
    return bool(source.tell() >= size)


def _damaged(stem: Path, progress: Progress, error: Exception) -> LogError:
    name = f"{stem.parent.name}/{stem.name}{CLOSED}"
    return LogError(
        f"segment {name} is damaged after byte {progress.end} (row {progress.rows}): {error}",
        hint="move that file out of the log to query the rest",
    )
