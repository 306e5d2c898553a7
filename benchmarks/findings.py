"""From what the closed loops measured to the rows of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contest import (
    CEILING,
    CONCURRENCY,
    ECHO,
    MAIN_CONCURRENCY,
    OURS,
    OURS_ONNX,
    Contestant,
    Measured,
    median,
)
from benchmarks.harness.report import Report, Row, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARE_OF_CEILING = Target("at least", 0.75)
MEMORY = Target("at most", 250)
READY = Target("at most", 1)
NO_FAILURE = Target("at most", 0)


def spread_row(name: str, values: Sequence[float], unit: str, target: Target | None = None) -> Row:
    """A row with the median of the rounds, and their smallest and largest where there are several."""
    spread = (min(values), max(values)) if len(values) > 1 else None
    return Row(name, median(values), unit, target, spread)


def add_rows(report: Report, contestants: Sequence[Contestant], results: dict[str, Measured]) -> None:
    """Ratios first, then what was measured of each contestant."""
    own = results.get(OURS)
    if own is not None:
        _add_ratios(report, contestants, results, own)
    for contestant in contestants:
        _add_contestant(report, contestant, results[contestant.name])


def _add_ratios(report: Report, contestants: Sequence[Contestant], results: dict[str, Measured], own: Measured) -> None:
    for contestant in contestants:
        other = results[contestant.name]
        if contestant.ratio is not None:
            name = f"Fairlead / {contestant.title}, c={MAIN_CONCURRENCY}"
            bound = Target("at least", contestant.ratio) if other.rate() else None
            report.add(spread_row(name, ratios(own.rate(), other.rate()), "x", bound))
    ceiling = results.get(CEILING)
    if ceiling is None:
        return
    _add_shares(report, "Fairlead", own, ceiling)
    if (onnx := results.get(OURS_ONNX)) is not None:
        _add_shares(report, "Fairlead, model run by ONNX Runtime", onnx, ceiling)


def _add_shares(report: Report, title: str, own: Measured, ceiling: Measured) -> None:
    """How much of the bare reference server's throughput it has."""
    for concurrency in CONCURRENCY:
        target = SHARE_OF_CEILING if concurrency == MAIN_CONCURRENCY else None
        share = ratios(own.rate(concurrency), ceiling.rate(concurrency))
        report.add(spread_row(f"{title} / bare reference server, c={concurrency}", share, "x", target))
    share = ratios([run.per_second for run in own.loadgen], [run.per_second for run in ceiling.loadgen])
    name = f"{title} / bare reference server, c={MAIN_CONCURRENCY}, loadgen"
    report.add(spread_row(name, share, "x", SHARE_OF_CEILING))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round; a round that one of the two did not finish is left out."""
    return [a / b for a, b in zip(ours, theirs, strict=False) if b > 0]


def _add_contestant(report: Report, contestant: Contestant, measured: Measured) -> None:
    title, own = contestant.title, contestant.name == OURS
    if measured.failure is not None:
        what = "wrong answers" if measured.wrong else "failed"
        report.add(Row(f"{title}: {what}: {measured.failure}", None, "", None))
    if not measured.rate():
        return
    for concurrency in CONCURRENCY:
        report.add(spread_row(f"{title}: c={concurrency}", measured.rate(concurrency), "requests/s"))
    main = measured.closed[MAIN_CONCURRENCY]
    report.add(spread_row(f"{title}: p50, c={MAIN_CONCURRENCY}", [run.p50_ms for run in main], "ms"))
    report.add(spread_row(f"{title}: p99, c={MAIN_CONCURRENCY}", [run.p99_ms for run in main], "ms"))
    report.add(spread_row(f"{title}: server CPU a request, c={MAIN_CONCURRENCY}", measured.cpu_us, "us"))
    report.add(spread_row(f"{title}: server CPU, c={MAIN_CONCURRENCY}", measured.cores, "cores"))
    report.add(spread_row(f"{title}: peak RSS", measured.peak_mb, "MB", MEMORY if own else None))
    report.add(spread_row(f"{title}: ready after", measured.ready_s, "s", READY if own else None))
    if contestant.name != ECHO:
        report.add(Row(f"{title}: largest difference from onnxruntime", measured.difference, ""))
    failures = measured.failures()
    if own or failures:
        report.add(Row(f"{title}: failed requests", failures, "", NO_FAILURE if own else None))
