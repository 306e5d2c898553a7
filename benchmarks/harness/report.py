"""Rows of a benchmark: collected, printed as one table, written as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Target:
    """What a value should be."""

    kind: Literal["at least", "at most"]
    bound: float

    def met(self, value: float) -> bool:
        """Whether `value` keeps to the target."""
        return value >= self.bound if self.kind == "at least" else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.kind == 'at least' else '<='} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure; `value` is None where it could not be measured, and the name then says why."""

    name: str
    value: float | None
    unit: str
    target: Target | None = None
    spread: tuple[float, float] | None = None
    """Smallest and largest over the rounds."""

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None without one. A target that was not measured is not met."""
        if self.target is None:
            return None
        return self.value is not None and self.target.met(self.value)


@dataclass(slots=True)
class Report:
    """The rows of one benchmark in the order in which they were added."""

    title: str
    rows: list[Row] = field(default_factory=list)
    load_before: float = field(default_factory=lambda: round(os.getloadavg()[0], 2))
    """The machine's load average when the benchmark began: what else was running."""

    def add(self, row: Row) -> None:
        """Add a row."""
        self.rows.append(row)

    def missed(self) -> list[str]:
        """Names of the rows whose target was not met."""
        return [row.name for row in self.rows if row.ok is False]

    def show(self, console: Console) -> None:
        """Print every row, and one line about the targets."""
        table = Table(title=self.title, title_justify="left")
        table.add_column("row", overflow="fold")
        for heading in ("value", "min - max", "unit", "target"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("met")
        for row in self.rows:
            mark = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[row.ok]
            spread = "" if row.spread is None else " - ".join(map(_figure, row.spread))
            table.add_row(row.name, _figure(row.value), spread, row.unit, str(row.target or ""), mark)
        console.print(table)
        targets = sum(row.target is not None for row in self.rows)
        missed = self.missed()
        tail = f"missed: {'; '.join(missed)}" if missed else "none missed"
        console.print(f"{targets} targets, {tail}", markup=False, highlight=False, soft_wrap=True)

    def write(self, path: Path, packages: Sequence[str], tools: dict[str, str]) -> None:
        """Write `path` as JSON: machine, versions (`packages` of this environment and `tools`), date, rows."""
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "machine": machine() | {"load_before": self.load_before},
            "versions": {"python": platform.python_version()} | {p: _version(p) for p in packages} | tools,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "rows": [_as_json(row) for row in self.rows],
        }
        path.write_text(json.dumps(document, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """Processor, cores, memory and kernel of this machine."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    memory = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**20, 1),
        "kernel": platform.release(),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "from the source tree"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _as_json(row: Row) -> dict[str, Any]:
    target = None if row.target is None else str(row.target)
    entry: dict[str, Any] = {"name": row.name, "value": row.value, "unit": row.unit, "target": target, "ok": row.ok}
    if row.spread is not None:
        entry["spread"] = list(row.spread)
    return entry


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
