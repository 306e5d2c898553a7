"""A comparison of two tables, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fairlead.schema.comparison import LARGEST_EFFECT, Severity, Verdict

if TYPE_CHECKING:
    from fairlead.schema.comparison import ColumnComparison, Comparison, Effect, Finding, Measure, PerformanceComparison

COLORS = {Severity.NONE: "", Severity.SMALL: "yellow", Severity.MODERATE: "dark_orange", Severity.LARGE: "red"}
WORDS = {
    Verdict.STABLE: "stable",
    Verdict.DRIFTED: "drifted",
    Verdict.CANNOT_TELL: "cannot tell",
    Verdict.NOT_MEASURED: "not measured",
}


def show_comparison(found: Comparison) -> None:
    """Print the tables, the columns with the worst first, and one line of summary."""
    console = Console(highlight=False)
    for one in (found.reference, found.current):
        doubled = f", {one.duplicates:,} duplicates" if one.duplicates else ""
        console.print(f"{escape(one.name)}: {one.rows:,} rows{doubled}", soft_wrap=True)
    console.print(_columns(found))
    if found.performance is not None:
        console.print(_performance(found.performance))
    elif found.performance_reason is not None:
        console.print(f"no performance: {escape(found.performance_reason)}", soft_wrap=True)
    told = [("rows", found.findings), *((one.name, one.findings) for one in found.columns)]
    for name, findings in told:
        for finding in findings:
            console.print(_colored(f"{name}: {finding_words(finding)}", finding.severity), soft_wrap=True)
    console.print(_summary(found), soft_wrap=True)


def _columns(found: Comparison) -> Table:
    table = Table(title=f"Columns, by the convention of {found.convention.value}", title_justify="left")
    for heading in ("column", "values", "severity"):
        table.add_column(heading, overflow="fold")
    table.add_column("shift in sd", justify="right", no_wrap=True)
    table.add_column("measure", overflow="fold")
    for column in found.columns:
        table.add_row(
            escape(_named(column)),
            WORDS[column.verdict],
            _colored(column.severity.value, column.severity),
            effect_words(column.effect),
            escape(measure_words(column.measures[0])) if column.measures else "",
        )
    return table


def _named(column: ColumnComparison) -> str:
    return column.name if column.role.value == "feature" else f"{column.name} ({column.role.value})"


def finding_words(finding: Finding) -> str:
    """The message with a few of the values."""
    return finding.message + (f": {', '.join(finding.examples)}" if finding.examples else "")


def effect_words(effect: Effect | None) -> str:
    """The size and its interval."""
    if effect is None:
        return ""
    low, size, high = (f"{one:.2f}" if one < LARGEST_EFFECT else "∞" for one in (effect.low, effect.size, effect.high))
    return f"{size} ({low} - {high})"


def measure_words(measure: Measure) -> str:
    """Name, value and, where it decides, threshold."""
    value = "∞" if measure.value is None else f"{measure.value:.3g}"
    if measure.threshold is None:
        return f"{measure.name} {value}"
    sign = "<" if measure.drift_is == "below" else ">"
    return f"{measure.name} {value} (drift {sign} {measure.threshold:.3g})"


def _performance(found: PerformanceComparison) -> Table:
    table = Table(title=f"Performance ({found.task})", title_justify="left")
    table.add_column("metric")
    for heading in ("reference", "current", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict")
    for one in found.metrics:
        worse = WORDS[one.verdict]
        if one.verdict is Verdict.DRIFTED:
            worse = _colored(f"worse, {one.severity.value}", one.severity)
        change = f"{one.change:+.3f} ({one.low:+.3f} to {one.high:+.3f})"
        table.add_row(one.name, f"{one.reference:.4g}", f"{one.current:.4g}", change, worse)
    return table


def _colored(text: str, severity: Severity) -> str:
    color = COLORS[severity]
    return f"[{color}]{escape(text)}[/]" if color else escape(text)


def _summary(found: Comparison) -> str:
    drifted = [one for one in found.columns if one.verdict is Verdict.DRIFTED]
    measured = [one for one in found.columns if one.verdict is not Verdict.NOT_MEASURED]
    names = ", ".join(one.name for one in drifted[:5])
    rest = f" and {len(drifted) - 5} more" if len(drifted) > 5 else ""
    which = f": {escape(names)}{rest}" if drifted else ""
    worst = _colored(found.severity.value, found.severity)
    return f"{len(drifted)} of {len(measured)} columns drifted{which}; worst: {worst}"
