"""The server's metrics, read by the parser of Prometheus' own Python client."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


@dataclass(frozen=True)
class Exposition:
    """One scrape."""

    samples: tuple[Sample, ...]

    @classmethod
    def parse(cls, text: str) -> Exposition:
        """Read OpenMetrics text; raises `ValueError` where it is none."""
        families = text_string_to_metric_families(text)
        return cls(tuple(sample for family in families for sample in family.samples))

    def where(self, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the samples of `name` that have these labels, by all of their labels."""
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of `name` that have these labels; 0 where there is none."""
        return sum(self.where(name, **labels).values())

    def outcomes(self, endpoint: str) -> dict[str, int]:
        """Return the requests of an endpoint by their outcome."""
        found = self.where("fairlead_requests_total", endpoint=endpoint)
        counts: dict[str, int] = {}
        for labels, value in found.items():
            outcome = dict(labels)["outcome"]
            counts[outcome] = counts.get(outcome, 0) + int(value)
        return counts
