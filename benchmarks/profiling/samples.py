"""What perf sampled: read from `perf script`, and inlined functions unfolded with the library's line tables."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KERNEL = 1 << 63
"""Addresses from here on are the kernel's."""
FIELDS = "comm,tid,ip,sym,dso"
"""What `perf script -F` must print for `parse`."""
_LIMIT_S = 300
_HEAD = re.compile(r"^\s*(\S.*?)\s+\d+\s*$")
_FRAME = re.compile(r"^\s+([0-9a-f]+) (.*) \(([^()]*(?:\(deleted\))?)\)$")


@dataclass(frozen=True, slots=True)
class Frame:
    """A function that was running, or that was inlined into one."""

    function: str
    library: str
    """The file's name without its folder; `[vdso]` and the like as perf has them."""
    source: str = ""
    """Its source file, where line tables tell."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Where one thread was at one tick of its CPU clock."""

    thread: str
    kernel: tuple[str, ...]
    """Functions of the kernel, innermost first; empty in user mode."""
    user: tuple[Frame, ...]
    """Innermost first: the running function (in the kernel: the one that entered it), preceded by what is inlined."""
    address: int = 0
    """Of the running function's instruction; 0 where there is none."""

    @property
    def leaf(self) -> str:
        """The innermost function's name."""
        if self.kernel:
            return self.kernel[0]
        return self.user[0].function if self.user else "[unknown]"


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
        address = int(found[1], 16)
        if address < KERNEL:
            # Only the innermost frame is sure: the code keeps no frame pointers to follow.
            frame = Frame(found[2], found[3].removesuffix(" (deleted)").rpartition("/")[2])
            return Sample(thread, tuple(kernel), (frame,), address)
        kernel.append(found[2])
    return Sample(thread, tuple(kernel), ())


def load_bias(maps: str, library: Path) -> int:
    """Where `library` is mapped, from the text of /proc/PID/maps; `LookupError` if it is not."""
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and Path(fields[5]) == library and int(fields[2], 16) == 0:
            return int(fields[0].partition("-")[0], 16)
    raise LookupError(f"{library.name} is not mapped: another build of it was loaded")


def unfold(samples: Iterable[Sample], library: Path, bias: int) -> list[Sample]:
    """The samples, with the functions that were inlined where they hit `library` (mapped at `bias`)."""
    samples = list(samples)
    addresses = {s.address for s in samples if s.user and s.user[0].library == library.name}
    chains = _inlined(library, sorted(address - bias for address in addresses))
    return [
        replace(sample, user=chain) if (chain := chains.get(sample.address - bias)) else sample for sample in samples
    ]


def _inlined(library: Path, addresses: list[int]) -> dict[int, tuple[Frame, ...]]:
    argv = ["addr2line", "--exe", str(library), "--addresses", "--functions", "--inlines", "--demangle"]
    asked = "".join(f"{address:#x}\n" for address in addresses)
    answer = subprocess.run(argv, check=True, capture_output=True, input=asked, text=True, timeout=_LIMIT_S).stdout
    return dict(parse_addr2line(answer, library.name))


def parse_addr2line(text: str, library: str) -> Iterator[tuple[int, tuple[Frame, ...]]]:
    """By address, the functions at it from `addr2line -afiC`, innermost first."""
    for block in re.split(r"^(?=0x[0-9a-f]+$)", text, flags=re.MULTILINE):
        address, *lines = block.splitlines() or [""]
        pairs = zip(lines[::2], lines[1::2], strict=True)
        frames = tuple(Frame(name, library, place.rpartition(":")[0]) for name, place in pairs)
        if frames:
            yield int(address, 16), frames


def shares(counts: Mapping[str, int]) -> dict[str, float]:
    """Each count as a share of their sum; `ValueError` of nothing."""
    total = sum(counts.values())
    if total == 0:
        raise ValueError("no samples: nothing ran while perf looked")
    return {name: count / total for name, count in counts.items()}
