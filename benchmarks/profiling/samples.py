"""What perf sampled: read from `perf script`, and source files looked up in the library's line tables."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

KERNEL = 1 << 63
"""Addresses from here on are the kernel's."""
FIELDS = "comm,tid,ip,sym,dso"
"""What `perf script -F` must print for `parse`. In call chains it prints `ip` of user code as an offset in the file."""
_LIMIT_S = 300
_HEAD = re.compile(r"^\s*(\S.*?)\s+\d+\s*$")
_LOAD = re.compile(r"^\s+LOAD\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)", re.MULTILINE)
_FRAME = re.compile(r"^\s+([0-9a-f]+) (.*) \(([^()]*(?:\(deleted\))?)\)$")


@dataclass(frozen=True, slots=True)
class Sample:
    """Where one thread was at one tick of its CPU clock."""

    thread: str
    kernel: tuple[str, ...]
    """Functions of the kernel, innermost first; empty in user mode."""
    function: str = "[unknown]"
    """The running function as the symbol table names it; in the kernel, the one that entered it."""
    library: str = ""
    """Its file without the folder; `[vdso]` and the like as perf has them."""
    offset: int = 0
    """Of its instruction in that file."""
    sources: tuple[str, ...] = ()
    """Source files of what is inlined at that instruction, innermost first, then the function's own; where known."""

    @property
    def leaf(self) -> str:
        """The name to list it under."""
        return self.kernel[0] if self.kernel else self.function


def parse(text: str) -> Iterator[Sample]:
    """The samples in the output of `perf script --no-inline -F FIELDS`; `ValueError` where it is something else."""
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip("\n").splitlines()
        if not lines:
            continue
        head = _HEAD.match(lines[0])
        if head is None:
            raise ValueError(f"not a sample of perf script: {lines[0]!r}")
        yield _sample(head[1], lines[1:])


def _sample(thread: str, lines: list[str]) -> Sample:
    kernel: list[str] = []
    for line in lines:
        found = _FRAME.match(line)
        if found is None:
            raise ValueError(f"not a frame of perf script: {line!r}")
        address, function = int(found[1], 16), found[2]
        if address < KERNEL:
            # Only the innermost frame is sure: the code keeps no frame pointers to follow.
            library = found[3].removesuffix(" (deleted)").rpartition("/")[2]
            return Sample(thread, tuple(kernel), function, library, address)
        kernel.append(function)
    return Sample(thread, tuple(kernel))


def unfold(samples: Iterable[Sample], library: Path) -> list[Sample]:
    """The samples, those in `library` with their source files.

    Raises `ValueError` where the line tables name other functions than perf does: the files differ, or the addresses
    are not what is thought.
    """
    samples = list(samples)
    segments = _segments(library)
    inside = {s.offset: s.function for s in samples if s.library == library.name}
    addresses = {offset: virtual_address(offset, segments) for offset in inside}
    places = dict(parse_addr2line(_addr2line(library, sorted(addresses.values()))))
    known = {offset: places[address] for offset, address in addresses.items() if address in places}
    agreeing = sum(inside[offset] in names for offset, (names, _) in known.items())
    if 2 * agreeing <= len(inside):
        raise ValueError(f"of {len(inside)} addresses in {library.name} only {agreeing} are of the function perf names")
    return [
        replace(s, sources=known[s.offset][1]) if s.library == library.name and s.offset in known else s
        for s in samples
    ]


def virtual_address(offset: int, segments: Iterable[tuple[int, int, int]]) -> int:
    """The address that an offset in a file has, by its segments (offset, address, size); `LookupError` for none."""
    for start, address, size in segments:
        if start <= offset < start + size:
            return address + offset - start
    raise LookupError(f"offset {offset:#x} is in no segment")


def _segments(library: Path) -> list[tuple[int, int, int]]:
    headers = _run(["readelf", "--program-headers", "--wide", str(library)], "")
    return [(int(o, 16), int(a, 16), int(s, 16)) for o, a, s in _LOAD.findall(headers)]


def _addr2line(library: Path, addresses: list[int]) -> str:
    argv = ["addr2line", "--exe", str(library), "--addresses", "--functions", "--inlines", "--demangle"]
    return _run(argv, "".join(f"{address:#x}\n" for address in addresses))


def _run(argv: list[str], told: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, input=told, text=True, timeout=_LIMIT_S).stdout


def parse_addr2line(text: str) -> Iterator[tuple[int, tuple[tuple[str, ...], tuple[str, ...]]]]:
    """By address: the functions and the source files at it from `addr2line -afiC`, innermost first."""
    for block in re.split(r"^(?=0x[0-9a-f]+$)", text, flags=re.MULTILINE):
        lines = block.splitlines()
        if len(lines) >= 3:
            # For Rust the first name is the symbol's, whatever is inlined there. The places are always in order.
            yield int(lines[0], 16), (tuple(lines[1::2]), tuple(place.rpartition(":")[0] for place in lines[2::2]))


def shares(counts: Mapping[str, int]) -> dict[str, float]:
    """Each count as a share of their sum; `ValueError` of nothing."""
    total = sum(counts.values())
    if total == 0:
        raise ValueError("no samples: nothing ran while perf looked")
    return {name: count / total for name, count in counts.items()}
