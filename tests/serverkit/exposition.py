"""The server's metrics, read line by line. That they are what Prometheus reads is a test of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\"": '"', r"\\": "\\", r"\n": "\n"}

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Exposition:
    """One scrape: the value of each series."""

    series: dict[tuple[str, Labels], float]

    @classmethod
    def parse(cls, text: str) -> Exposition:
        """Read OpenMetrics text; raises `ValueError` for a line that is no sample."""
        lines = (line for line in text.splitlines() if line and not line.startswith("#"))
        return cls(dict(_read(line) for line in lines))

    def where(self, name: str, **labels: str) -> dict[Labels, float]:
        """Return the series of `name` that have these labels, by all of their labels in order."""
        wanted = labels.items()
        return {
            found: value for (own, found), value in self.series.items() if own == name and wanted <= dict(found).items()
        }

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the series of `name` that have these labels; 0 where there is none."""
        return sum(self.where(name, **labels).values())

    def outcomes(self, endpoint: str) -> dict[str, int]:
        """Return the requests of an endpoint by their outcome."""
        counts: dict[str, int] = {}
        for labels, value in self.where("fairlead_requests_total", endpoint=endpoint).items():
            outcome = dict(labels)["outcome"]
            counts[outcome] = counts.get(outcome, 0) + int(value)
        return counts


def _read(line: str) -> tuple[tuple[str, Labels], float]:
    found = _SAMPLE.match(line)
    if found is None:
        raise ValueError(f"no sample: {line!r}")
    name, labels, value = found.groups(default="")
    pairs = ((key, re.sub(r"\\.", lambda m: _ESCAPES[m[0]], text)) for key, text in _LABEL.findall(labels))
    return (name, tuple(sorted(pairs))), float(value)
