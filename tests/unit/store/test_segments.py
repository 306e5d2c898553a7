"""Reading segments while a writer is active: whatever is complete is read, nothing else, and nothing fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import ipc

from fairlead.errors import BadInputError, LogError
from fairlead.store import segments
from fairlead.store.segments import Progress, find_segments, read_batches


def rows_of(directory: Path) -> int:
    return sum(batch.num_rows for segment in find_segments(directory) for batch in read_batches(segment))


def message_ends(content: bytes) -> list[int]:
    """Byte offsets after the schema and after each record batch."""
    source = pa.BufferReader(content)
    reader = ipc.open_stream(source)
    return [source.tell(), *(source.tell() for _ in reader)]


@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_cut_at_any_byte_gives_every_batch_that_is_complete(log: Any, closed: bool) -> None:
    content = log.segment(log.batch(2), log.batch(3), log.batch(4)).read_bytes()
    path = log.raw(content, endpoint="cut", closed=closed)
    schema_end, *ends = message_ends(content)
    for length in range(len(content), -1, -1):
        os.truncate(path, length)
        segment = next(s for s in find_segments(log.directory) if s.endpoint == "cut")
        progress = Progress()
        got = [batch.num_rows for batch in read_batches(segment, progress)]
        complete = [rows for rows, end in zip([2, 3, 4], ends, strict=True) if end <= length]
        assert got == complete, f"cut at byte {length}"
        last = max((end for end in [0, schema_end, *ends] if end <= length), default=0)
        assert progress.torn <= length - last, f"cut at byte {length}"


@pytest.mark.parametrize("tail", [b"\0" * 64, b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\xff\xff\xff\xff"])
def test_a_tail_of_nonsense_after_a_crash_hides_no_row(log: Any, tail: bytes) -> None:
    path = log.segment(log.batch(5), closed=False)
    path.write_bytes(path.read_bytes() + tail)
    [segment] = find_segments(log.directory)
    progress = Progress()
    assert sum(batch.num_rows for batch in read_batches(segment, progress)) == 5
    assert progress.torn > 0 or tail == b"\xff\xff\xff\xff"


def test_a_damaged_message_in_the_middle_is_an_error_that_names_the_file(log: Any) -> None:
    path = log.segment(log.batch(5), log.batch(5))
    content = bytearray(path.read_bytes())
    start = message_ends(bytes(content))[1]
    content[start + 8 : start + 40] = b"\xee" * 32  # the metadata of the second batch
    path.write_bytes(content)
    with pytest.raises(LogError, match=rf"fraud/{path.name} is damaged after byte {start} \(row 5\)"):
        rows_of(log.directory)


def test_offsets_that_point_nowhere_are_damage_not_a_crash(log: Any) -> None:
    batch = pa.record_batch({"text": pa.array(["abc", "def"])})
    path = log.segment(batch)
    content = path.read_bytes()
    offsets = (0).to_bytes(4, "little") + (3).to_bytes(4, "little") + (6).to_bytes(4, "little")
    assert content.count(offsets) == 1
    path.write_bytes(content.replace(offsets, offsets[:4] + (2**30).to_bytes(4, "little") + offsets[8:]))
    with pytest.raises(LogError, match="damaged"):
        rows_of(log.directory)


def test_open_and_closed_segments_are_read(log: Any) -> None:
    log.segment(log.batch(2))
    log.segment(log.batch(3), closed=False)
    assert rows_of(log.directory) == 5


def test_a_segment_renamed_after_the_listing_is_read(log: Any) -> None:
    path = log.segment(log.batch(3), closed=False)
    [segment] = find_segments(log.directory)
    path.rename(path.with_name(path.name.removesuffix(".open")))
    assert sum(batch.num_rows for batch in read_batches(segment)) == 3


def test_a_segment_renamed_during_the_listing_is_counted_once(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = log.segment(log.batch(3), closed=False)
    listed = segments._stems

    def listing_then_rename(directory: Path) -> set[Path]:
        stems = listed(directory)
        if path.exists():
            path.rename(path.with_name(path.name.removesuffix(".open")))
        return stems

    monkeypatch.setattr(segments, "_stems", listing_then_rename)
    assert rows_of(log.directory) == 3


def test_a_segment_missed_by_one_listing_is_found_by_the_other(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log.segment(log.batch(3))
    listed = segments._stems
    answers = iter([set(), listed(log.directory)])
    monkeypatch.setattr(segments, "_stems", lambda _: next(answers))
    assert rows_of(log.directory) == 3


def test_a_segment_removed_after_the_listing_is_left_out(log: Any) -> None:
    log.segment(log.batch(2))
    removed = log.segment(log.batch(3))
    found = find_segments(log.directory)
    removed.unlink()
    progress = Progress()
    assert sum(batch.num_rows for segment in found for batch in read_batches(segment, progress)) == 2
    assert progress.torn == 0


def test_a_segment_removed_during_the_read_is_read_to_its_end(log: Any) -> None:
    path = log.segment(log.batch(2), log.batch(3))
    [segment] = find_segments(log.directory)
    batches = read_batches(segment)
    assert next(batches).num_rows == 2
    path.unlink()
    assert [batch.num_rows for batch in batches] == [3]


def test_rows_written_after_the_listing_are_not_seen(log: Any) -> None:
    whole = log.segment(log.batch(2), log.batch(3), endpoint="whole").read_bytes()
    path = log.raw(whole[: message_ends(whole)[1] + 20], closed=False)  # one batch, and a part of the next
    segment = next(s for s in find_segments(log.directory) if s.endpoint == "fraud")
    path.write_bytes(whole)
    progress = Progress()
    assert [batch.num_rows for batch in read_batches(segment, progress)] == [2]
    assert progress.torn == 20


def test_files_that_are_no_segments_are_left_alone(log: Any) -> None:
    log.segment(log.batch(2))
    (log.directory / "fraud" / "notes.txt").write_text("hello")
    (log.directory / "README").write_text("hello")
    assert rows_of(log.directory) == 2


def test_a_missing_folder_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no prediction log at"):
        find_segments(tmp_path / "nowhere")


def test_a_text_file_called_arrow_is_an_error_that_names_it(log: Any) -> None:
    path = log.raw(b"\x10\0\0\0" + b"this is not Arrow, but long enough to be looked at" * 10)
    with pytest.raises(LogError, match=path.name):
        rows_of(log.directory)


def test_a_folder_that_may_not_be_listed_is_a_log_error(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log.segment(log.batch(2))

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(LogError, match=r"cannot list .*: Permission denied"):
        find_segments(log.directory)


def test_journals_are_no_segments(log: Any) -> None:
    log.segment(log.batch(2), closed=False)
    for name in ("7-1700000000.journal", "fraud/7-1700000000.journal", "odd.journal/x.journal"):
        path = log.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"FLJRNL")
    assert len(find_segments(log.directory)) == 1
    assert rows_of(log.directory) == 2
