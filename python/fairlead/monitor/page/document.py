"""The page: what was compared, what drifted and how large, performance, and a card for each column."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from fairlead.monitor.page import svg
from fairlead.monitor.page.style import STYLE
from fairlead.schema.comparison import (
    ColumnComparison,
    Comparison,
    Finding,
    MetricComparison,
    PerformanceComparison,
    Severity,
    SideFacts,
    TableFacts,
    Verdict,
)

WORDS = {
    Verdict.STABLE: "stable",
    Verdict.DRIFTED: "drifted",
    Verdict.CANNOT_TELL: "cannot tell: too few rows",
    Verdict.NOT_MEASURED: "not measured",
}


def page_of(found: Comparison) -> str:
    """Return the page. Everything that came from the data is escaped; there is no script, and nothing is fetched."""
    remarkable = [one for one in found.columns if one.severity is not Severity.NONE or one.verdict is Verdict.DRIFTED]
    others = [one for one in found.columns if one not in remarkable]
    name = f"{found.current.name} against {found.reference.name}"
    anchors = {one.name: f"c{at}" for at, one in enumerate(found.columns)}
    parts = [
        f"<h1>{escape(name)}</h1>",
        _summary(found),
        "<h2>Columns</h2>",
        _columns(found, anchors),
        "" if found.performance is None else _performance(found.performance),
        _legend(),
        *(_card(one, anchors[one.name]) for one in remarkable),
    ]
    if others:
        cards = "".join(_card(one, anchors[one.name]) for one in others)
        parts.append(f"<details><summary>{len(others)} columns without a finding</summary>{cards}</details>")
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(name)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )


def _summary(found: Comparison) -> str:
    measured = sum(one.verdict is not Verdict.NOT_MEASURED for one in found.columns)
    drifted = sum(one.verdict is Verdict.DRIFTED for one in found.columns)
    unclear = sum(one.verdict is Verdict.CANNOT_TELL for one in found.columns)
    rest = f", {unclear} cannot be told" if unclear else ""
    first = f"<p><strong>{drifted} of {measured} columns drifted</strong>{rest}; worst: {_severity(found.severity)}</p>"
    asked = f"shifts up to {found.tolerance:g} sd are tolerated, level {found.level:g}"
    tables = f"{_table(found.current)}, {_table(found.reference)}"
    second = f'<p class="faint">{tables}. By the convention of {found.convention.value}; {asked}.</p>'
    return first + second + _findings(found.findings)


def _table(facts: TableFacts) -> str:
    doubled = f" ({facts.duplicates:,} duplicates)" if facts.duplicates else ""
    return f"{escape(facts.name)}: {facts.rows:,} rows{doubled}"


def _columns(found: Comparison, anchors: dict[str, str]) -> str:
    rows = "".join(_row(one, anchors[one.name]) for one in found.columns)
    head = '<tr><th>column</th><th>values</th><th>severity</th><th class="number">shift in sd</th><th></th>'
    head += "<th>measure</th><th>findings</th></tr>"
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _row(one: ColumnComparison, anchor: str) -> str:
    size, picture = ("", "") if one.effect is None else (svg.size_words(one.effect), svg.effect(one.effect))
    messages = "<br>".join(escape(finding.message) for finding in one.findings)
    return (
        f'<tr><td class="name"><a href="#{anchor}">{escape(one.name)}</a>{_role(one)}</td><td>{WORDS[one.verdict]}</td>'
        f'<td>{_severity(one.severity)}</td><td class="number">{size}</td><td>{picture}</td>'
        f'<td class="measure">{_first_measure(one)}</td><td>{messages}</td></tr>'
    )


def _role(one: ColumnComparison) -> str:
    return "" if one.role.value == "feature" else f' <span class="faint">{one.role.value}</span>'


def _severity(severity: Severity) -> str:
    return f'<span class="severity {severity.value}">{severity.value}</span>'


def _first_measure(one: ColumnComparison) -> str:
    if not one.measures:
        return ""
    first = one.measures[0]
    bound = "" if first.threshold is None else f' <span class="faint">/ {first.threshold:.3g}</span>'
    return f"{first.name} {_value(first.value)}{bound}"


def _value(value: float | None) -> str:
    return "∞" if value is None else f"{value:.3g}"


def _legend() -> str:
    return '<h2>Distributions<span class="key r"></span>reference<span class="key c"></span>current</h2>'


def _card(one: ColumnComparison, anchor: str) -> str:
    effect = ""
    if one.effect is not None:
        effect = f"<span>shift {svg.size_words(one.effect)} sd</span>{svg.effect(one.effect)}"
    chart = "" if one.distribution is None else svg.distribution(one.distribution, one.name)
    facts = "" if one.reference is None or one.current is None else _facts(one.reference, one.current)
    measures = " ".join(f"<span>{escape(each.name)} <b>{_value(each.value)}</b></span>" for each in one.measures)
    measured = f'<p class="measures">{measures}</p>' if measures else ""
    return (
        f'<article id="{anchor}"><header><h3>{escape(one.name)}{_role(one)}</h3><span>{WORDS[one.verdict]}</span>'
        f"{_severity(one.severity)}{effect}</header>{_findings(one.findings)}"
        f'<div class="halves"><div>{chart}{measured}</div><div>{facts}</div></div></article>'
    )


def _findings(findings: Iterable[Finding]) -> str:
    items = ""
    for finding in findings:
        examples = f": {escape(', '.join(finding.examples))}" if finding.examples else ""
        items += f"<li>{_severity(finding.severity)} {escape(finding.message)}{examples}</li>"
    return f"<ul>{items}</ul>" if items else ""


def _facts(reference: SideFacts, current: SideFacts) -> str:
    head = '<tr><th></th><th class="number">reference</th><th class="number">current</th></tr>'
    names = ("type", "missing", "infinite", "distinct", "minimum", "median", "maximum", "mean", "standard_deviation")
    rows = ""
    for name in names:
        values = [getattr(side, name) for side in (reference, current)]
        if values not in ([None, None], [0, 0]) or name == "missing":
            cells = "".join(f'<td class="number">{escape(_fact(value))}</td>' for value in values)
            rows += f"<tr><td>{name.replace('_', ' ')}</td>{cells}</tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _fact(value: object) -> str:
    if isinstance(value, float):
        return svg.number(value)
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def _performance(found: PerformanceComparison) -> str:
    head = '<tr><th>metric</th><th class="number">reference</th><th class="number">current</th>'
    head += '<th class="number">change</th><th>verdict</th><th>severity</th></tr>'
    rows = "".join(_metric(one) for one in found.metrics)
    positive = "" if found.positive is None else f", positive label {escape(found.positive)}"
    words = f"{found.reference_rows:,} and {found.current_rows:,} rows with target and prediction"
    return (
        f'<h2>Performance</h2><p class="faint">{found.task}{positive}; {words}</p>'
        f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    )


def _metric(one: MetricComparison) -> str:
    worse = one.verdict is Verdict.DRIFTED
    interval = f'<span class="faint">({one.low:+.3g} to {one.high:+.3g})</span>'
    return (
        f'<tr><td class="name">{one.name} <span class="faint">{one.better} is better</span></td>'
        f'<td class="number">{one.reference:.4g}</td><td class="number">{one.current:.4g}</td>'
        f'<td class="number">{one.change:+.4g} {interval}</td><td>{"worse" if worse else WORDS[one.verdict]}</td>'
        f"<td>{_severity(one.severity if worse else Severity.NONE)}</td></tr>"
    )
