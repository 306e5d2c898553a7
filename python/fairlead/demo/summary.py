"""The summary: one document for programs, one set of tables for people."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fairlead.demo.account import Agreement, Decisions, LogCheck, Reading, Speed
from fairlead.demo.delivered import commands as delivered_commands
from fairlead.demo.delivered import document as delivered_document
from fairlead.demo.delivered import lines as delivered_lines
from fairlead.demo.delivery import Delivered
from fairlead.demo.material import Material
from fairlead.demo.options import Workplace
from fairlead.demo.prototype import Prototype, Quality
from fairlead.demo.server import RunningServer

if TYPE_CHECKING:
    from rich.console import Console

    from fairlead.bundle import PackResult


UNITLESS = "left out, as they share units out and no column of the data says whose row it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that a demo found."""

    material: Material
    prototype: Prototype
    packed: PackResult
    server: RunningServer
    speeds: list[Speed]
    reading: Reading
    log: LogCheck
    delivered: Delivered | None
    """None where no column says whose row it is."""
    example: str
    """Body of one request."""
    place: Workplace
    seconds: float

    @property
    def kept(self) -> int | None:
        """Process of the server, or of both planes, that goes on."""
        if self.delivered is not None and self.delivered.planes.plan.keep:
            return self.delivered.planes.process.pid
        return self.server.process.pid if self.server.plan.keep else None

    def curl(self) -> str:
        """A command that asks the endpoint about one record."""
        planes = None if self.delivered is None else self.delivered.planes
        base = planes.data_url if planes is not None and planes.plan.keep else self.server.url
        url = f"{base}/v1/endpoints/{self.material.endpoint}:predict"
        return f"curl -s {url} -d {shlex.quote(self.example)}"

    def serve_again(self) -> str:
        """A command that serves the bundle on the same address."""
        port = self.server.url.rsplit(":", 1)[1]
        folder, log = (shlex.quote(str(path)) for path in (self.packed.path, self.place.log))
        key = f" --unit-key {self.server.plan.unit_key}" if self.server.plan.unit_key else ""
        trust = " --trust-pickle" if self.server.plan.trust_pickle else ""
        return f"fairlead serve --bundle {folder} --port {port} --log {log}{key}{trust}"

    def query(self) -> str:
        """A command that looks into the log."""
        sql = "SELECT decision, count(*), avg(latency_us) FROM predictions GROUP BY ALL"
        return f"fairlead log query {shlex.quote(sql)} --log {shlex.quote(str(self.place.log))}"


def document(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON values."""
    parity = outcome.packed.checks.parity
    return {
        "data": outcome.material.source,
        "rows": len(outcome.material.labels),
        "columns": outcome.material.columns,
        "remarks": outcome.material.remarks,
        "endpoint": outcome.material.endpoint,
        "training_rows": len(outcome.material.train),
        "training_positives": int(outcome.material.labels[outcome.material.train].sum()),
        "features": list(map(str, outcome.material.features.columns)),
        "model": outcome.prototype.kind,
        "threshold": outcome.prototype.threshold,
        "quality": asdict(outcome.prototype.quality),
        "bundle": {
            "path": str(outcome.packed.path),
            "sha256": outcome.packed.sha256,
            "engine": outcome.packed.manifest.engine.kind,
            "fallback": outcome.packed.checks.fallback,
        },
        "parity": parity.model_dump() if parity else None,
        "server": {
            "url": outcome.server.url,
            "ready_seconds": outcome.server.ready_seconds,
            "pid": outcome.server.process.pid,
            "kept": outcome.server.plan.keep,
        },
        "speed": [_finite(asdict(speed)) for speed in outcome.speeds],
        "refusals": outcome.reading.refusals,
        "agreement": asdict(outcome.reading.agreement),
        "decisions": [
            asdict(part) | {"false_share": part.false_share, "recall": part.recall}
            for part in outcome.reading.decisions
        ],
        "log": asdict(outcome.log)
        | {
            "path": str(outcome.place.log),
            "answers": len(outcome.reading.ids),
            "duplicate_ids": outcome.reading.duplicates,
            "complete": outcome.log.complete,
        },
        "delivery": None if outcome.delivered is None else delivered_document(outcome.delivered),
        "curl": outcome.curl(),
        "seconds": outcome.seconds,
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """NaN (no answer to measure) as None."""
    return {name: None if value != value else value for name, value in values.items()}  # noqa: PLR0124 - NaN


def show(outcome: Outcome, console: Console) -> None:
    """Print the summary."""
    from rich.table import Table

    table = Table(title="fairlead demo", title_justify="left", show_header=False, pad_edge=False, box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines(outcome):
        table.add_row(name, value)
    console.print()
    console.print(table)
    console.print()
    # Plain: to be copied, so neither wrapped nor coloured.
    for title, command in _commands(outcome):
        console.print(f"[bold]{title}[/bold]")
        console.print(command, soft_wrap=True, markup=False, highlight=False)


def _commands(outcome: Outcome) -> Iterator[tuple[str, str]]:
    if outcome.kept is not None:
        yield f"The endpoint goes on as process {outcome.kept}. Ask it:", outcome.curl()
        yield "Stop it:", f"kill {outcome.kept}"
    else:
        yield "Serve it again:", outcome.serve_again()
        yield "and ask it:", outcome.curl()
    yield "Look into the log:", outcome.query()
    if outcome.delivered is not None:
        yield from delivered_commands(outcome.delivered)


def lines(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """(name, value) of each line of the summary's table."""
    material, prototype, log = outcome.material, outcome.prototype, outcome.log
    positives = int(material.labels[material.train].sum())
    yield "data", f"{material.source}; {len(material.labels):,} rows"
    yield (
        "training set",
        f"{len(material.train):,} rows, {positives:,} positive, {len(material.features.columns)} features",
    )
    yield "model", f"{prototype.kind}; threshold {prototype.threshold:.6g}"
    yield from _quality_lines(prototype.quality, material)
    pickled = ", a pickle: served because this demo made it" if outcome.server.plan.trust_pickle else ""
    yield "bundle", f"{outcome.packed.path} ({outcome.packed.manifest.engine.kind} engine{pickled})"
    yield "parity", _parity(outcome)
    yield "server", f"ready in {outcome.server.ready_seconds * 1_000:.0f} ms at {outcome.server.url}"
    yield "load", "a Python client on the same CPUs, one record a request: what this machine does with both"
    for speed in outcome.speeds:
        yield speed.phase, _speed(speed)
    if outcome.reading.refusals:
        yield "refused", ", ".join(f"{code} {count:,}" for code, count in outcome.reading.refusals.items())
    yield "served = notebook", _agreed(outcome.reading.agreement)
    for part in outcome.reading.decisions:
        yield f"{part.stretch}, declined", _decided(part)
    verdict = "every answer, once" if log.complete else f"{log.missing:,} MISSING, {log.extra:,} that nobody received"
    yield "prediction log", f"{log.rows:,} rows for {len(outcome.reading.ids):,} answers: {verdict}"
    yield "", f"in {outcome.place.log}"
    if outcome.delivered is None:
        yield "rollouts", UNITLESS
    else:
        yield from delivered_lines(outcome.delivered)
    for remark in (*material.remarks, *material.columns):
        yield "note", remark
    yield "time", f"{outcome.seconds:.0f} s"


def _quality_lines(quality: Quality, material: Material) -> Iterator[tuple[str, str]]:
    ranking = f"AUC {_figure(quality.auc)}, average precision {_figure(quality.average_precision)}"
    caught = f"recall {_percent(quality.recall)} at {quality.false_alarms:.2%} false alarms"
    yield f"on {material.live[0].name}", f"{ranking}, {caught}"
    never = f"answering never {material.label_name!r} would get {quality.accuracy_of_never:.2%}"
    yield "accuracy", f"{quality.accuracy:.2%} at score 0.5; {never}"


def _parity(outcome: Outcome) -> str:
    checks = outcome.packed.checks
    if checks.parity is None:
        return f"Python engine: {checks.fallback}" if checks.fallback else "nothing was converted"
    found = (
        f"largest difference {checks.parity.largest_difference:.2g}, "
        f"{checks.parity.changed_decisions} of {checks.parity.rows:,} decisions changed"
    )
    return f"{found}; fell back to Python: {checks.fallback}" if checks.fallback else found


def _speed(speed: Speed) -> str:
    return (
        f"{speed.per_second:,.0f} answers/s over {speed.seconds:.1f} s; "
        f"latency p50 {speed.p50:.2f}, p95 {speed.p95:.2f}, p99 {speed.p99:.2f} ms (client side)"
    )


def _decided(part: Decisions) -> str:
    return (
        f"{part.declined:,} of {part.decided:,}, {part.declined_positive:,} of them rightly; "
        f"{_percent(part.false_share)} of the negatives, {_percent(part.recall)} of the positives"
    )


def _agreed(agreement: Agreement) -> str:
    return (
        f"largest difference {agreement.largest_difference_float32:.2g} over all {agreement.answers:,} answers; "
        f"32-bit rounding moved {agreement.rows_apart} of {agreement.rows:,} rows, the farthest by "
        f"{agreement.largest_difference:.2g}; {agreement.changed_decisions} decisions changed"
    )


def _figure(value: float | None) -> str:
    return "cannot tell (one class only)" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "none there" if value is None else f"{value:.2%}"


def write(outcome: Outcome) -> None:
    """Write the document to the demo's folder."""
    outcome.place.summary.write_text(json.dumps(document(outcome), indent=2, allow_nan=False) + "\n", encoding="utf-8")
