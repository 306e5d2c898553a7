"""`python -m benchmarks.monitors`: two tables compared, by Fairlead and by Evidently on the same files.

Verdicts and numbers must be the same under the same convention: exit code 1 where they are not. A missed target is
only reported.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.comparing import agreement, data, runs
from benchmarks.harness.layout import CACHE, RESULTS
from benchmarks.harness.lock import BusyError, alone
from benchmarks.harness.report import Report, Row, Target
from benchmarks.peers.peer import InstallError

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS, QUICK_ROWS, ROUNDS = 1_000_000, 20_000, 3
SMALL_ROWS = 900
"""Where p-values decide."""
SAME = 1e-6
"""Relative difference that is none."""
RATIO = Target("at least", 10)
TITLE = "Monitors: two tables of 30 columns compared"
PACKAGES = ("fairlead", "numpy", "pyarrow")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitors", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20,000 rows, one round: does it work at all?")
    parser.add_argument("--no-peers", action="store_true", help="only Fairlead")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    report = Report(TITLE)
    try:
        with alone():
            same = _compare(report, quick=options.quick, peers=not options.no_peers)
    except (BusyError, runs.FailedError) as error:
        console.print(f"error: {error}", markup=False)
        return 1
    out = Console()
    report.show(out if out.is_terminal else Console(width=150))
    path = RESULTS / ("monitors-quick.json" if options.quick else "monitors.json")
    report.write(path, PACKAGES, {"evidently": runs.version()})
    console.print(f"written: {path.name}", markup=False, highlight=False)
    return 0 if same else 1


def _compare(report: Report, *, quick: bool, peers: bool) -> bool:
    rows = QUICK_ROWS if quick else ROWS
    paths = data.write(CACHE / "comparing", rows)
    if peers:
        try:
            runs.install()
        except InstallError as error:
            report.add(Row(f"compare {rows:,} rows: times Evidently's speed ({error})", None, "x", RATIO))
            peers = False
    ours: list[runs.Ran] = []
    own: list[runs.Ran] = []
    theirs: list[runs.Ran] = []
    for _ in range(1 if quick else ROUNDS):
        own.append(runs.fairlead(*paths, "fairlead"))
        ours.append(runs.fairlead(*paths, "evidently"))
        if peers:
            theirs.append(runs.evidently("preset", *paths))
    for name, ran in (("Fairlead", own), ("Fairlead, Evidently's convention", ours), ("Evidently", theirs)):
        if ran:
            report.add(_row(f"compare {rows:,} rows, whole process: {name}", [one.seconds for one in ran], "s"))
            report.add(_row(f"compare {rows:,} rows, CPU: {name}", [one.cpu for one in ran], "s"))
            report.add(_row(f"compare {rows:,} rows, peak memory: {name}", [one.peak_mib for one in ran], "MiB"))
    if not peers:
        return True
    for name, ran in (("Fairlead", own), ("Fairlead, Evidently's convention", ours)):
        ratios = [other.seconds / one.seconds for one, other in zip(ran, theirs, strict=True)]
        report.add(_row(f"compare {rows:,} rows: times Evidently's speed: {name}", ratios, "x", RATIO))
    inner = [other.found["seconds"] for other in theirs]
    report.add(_row(f"compare {rows:,} rows, Evidently without its start and reading", inner, "s"))
    return _agree(report, ours[0], theirs[0])


def _agree(report: Report, ours: runs.Ran, theirs: runs.Ran) -> bool:
    differ, apart = agreement.verdicts(ours.found, theirs.found)
    report.add(Row("columns with another verdict than Evidently's, same convention", differ, "", Target("at most", 0)))
    worst = {"that decides": apart}
    paths = data.write(CACHE / "comparing", SMALL_ROWS)
    small = runs.fairlead(*paths, "evidently")
    single = runs.evidently("numbers", *paths, str(SMALL_ROWS))
    worst |= agreement.numbers(small.found, single.found)
    for name, value in worst.items():
        report.add(Row(f"largest relative difference from Evidently: {name}", value, "", Target("at most", SAME)))
    return differ == 0 and max(worst.values()) <= SAME


def _row(name: str, values: list[float], unit: str, target: Target | None = None) -> Row:
    return Row(name, statistics.median(values), unit, target, (min(values), max(values)))


if __name__ == "__main__":
    sys.exit(main())
