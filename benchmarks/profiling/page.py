"""The profile as tables: on the terminal, and in the generated part of PROFILE.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.harness.report import Row
from benchmarks.profiling.parts import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BEGIN = "<!-- profile:begin, written by `make bench-profile` -->"
END = "<!-- profile:end -->"
UNEXPLAINED = 5
"""Functions of `other` that are named."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one closed loop spent."""

    connections: int
    per_second: float
    p50_us: float
    cpu_us: float
    """CPU of the server a request, measured without perf."""
    samples: int
    seen: float
    """CPU time that the samples stand for, by what /proc counted in that run: near 1 unless perf missed something."""
    parts: Mapping[str, float]
    """Shares of the samples."""
    threads: Mapping[str, float]
    functions: Mapping[str, float]
    """Shares of the running functions, as `part: function`; what is inlined goes under the function that holds it."""

    def us(self, share: float) -> float:
        """Microseconds a request for a share of the samples."""
        return share * self.cpu_us

    def rows(self) -> Iterable[Row]:
        """Rows of the report."""
        name = f"c={self.connections}"
        yield Row(f"{name}: server CPU a request", self.cpu_us, "us")
        for part in Part:
            yield Row(f"{name}: {part}", self.us(self.parts.get(part, 0.0)), "us")
        for thread, share in self.threads.items():
            yield Row(f"{name}: threads {thread}", self.us(share), "us")
        yield Row(f"{name}: p50 seen by the client", self.p50_us, "us")


def table(profiles: Sequence[Profile], title: str) -> Table:
    """All profiles side by side."""
    grid = Table(title=title, title_justify="left")
    headings, *lines = _grid(profiles)
    for heading in headings:
        grid.add_column(heading, justify="left" if heading == headings[0] else "right")
    for line in lines:
        grid.add_row(*line)
    return grid


def _grid(profiles: Sequence[Profile]) -> Iterable[list[str]]:
    yield ["part", *(h for p in profiles for h in (f"c={p.connections}: us a request", "share"))]
    for part in Part:
        yield [part, *_cells(profiles, [profile.parts.get(part, 0.0) for profile in profiles])]
    yield ["all", *_cells(profiles, [1.0] * len(profiles))]
    for thread in sorted({name for profile in profiles for name in profile.threads}):
        shares = [profile.threads.get(thread, 0.0) for profile in profiles]
        yield [f"threads `{thread}`", *_cells(profiles, shares)]


def _cells(profiles: Sequence[Profile], shares: Sequence[float]) -> list[str]:
    pairs = ((f"{profile.us(s):.2f}", f"{100 * s:.1f} %") for profile, s in zip(profiles, shares, strict=True))
    return [cell for pair in pairs for cell in pair]


def markdown(profiles: Sequence[Profile], about: str) -> str:
    """The generated part of PROFILE.md; `about` says when and on what it was measured."""
    headings, *lines = _grid(profiles)
    ruler = ["---", *("---:" for _ in headings[1:])]
    text = [about, "", *(f"| {' | '.join(line)} |" for line in (headings, ruler, *lines)), ""]
    for profile in profiles:
        text.append(
            f"c={profile.connections}: {profile.per_second:,.0f} requests/s, p50 {profile.p50_us:,.0f} us, "
            f"{profile.samples:,} samples ({100 * profile.seen:.0f} % of the CPU time that /proc has). "
            f"Largest functions: {_names(profile.functions, 12)}."
        )
        unexplained = {n: s for n, s in profile.functions.items() if n.startswith(f"{Part.OTHER}: ")}
        text += ["", f"Largest in `other`: {_names(unexplained, UNEXPLAINED) or 'nothing'}.", ""]
    return "\n".join(text).rstrip() + "\n"


def _names(functions: Mapping[str, float], most: int) -> str:
    ranked = sorted(functions.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
    return ", ".join(f"`{name}` {100 * share:.1f} %" for name, share in ranked)


def rewrite(page: str, generated: str) -> str:
    """The page with `generated` between its two markers; `ValueError` unless each is there once, in this order."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise ValueError(f"the page needs one {BEGIN!r} and, after it, one {END!r}")
    return f"{before}{BEGIN}\n{generated}{END}{after}"
