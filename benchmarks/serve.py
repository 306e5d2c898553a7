"""`python -m benchmarks.serve`: Fairlead's data plane against its targets and against the servers people would use.

Exit code 1 if any server's answers differ from onnxruntime's; a missed target is only reported. 2: another benchmark
runs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks import contest, endurance
from benchmarks.findings import add_rows
from benchmarks.harness import load
from benchmarks.harness.answers import WrongAnswersError
from benchmarks.harness.layout import RESULTS
from benchmarks.harness.lock import BusyError, alone
from benchmarks.harness.processes import ServerError, guard
from benchmarks.harness.report import Report, Row
from benchmarks.model import Workload, prepare
from benchmarks.peers.catalogue import PEERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.peers.peer import Peer

FULL = contest.Pace(rounds=3, seconds=6, warmup_s=2, open_seconds=60)
QUICK = contest.Pace(rounds=1, seconds=2, warmup_s=1, open_seconds=5)
PARTS: dict[str, Callable[[Workload, contest.Pace], list[Row]]] = {
    "open": endurance.open_loop,
    "latency": endurance.one_client,
    "overload": endurance.overload,
    "durability": endurance.durability,
}
BUSY = 0.5
"""A load average from which on somebody else takes part of the two cores."""
OWN = (contest.OURS, contest.OURS_ONNX, contest.CEILING, contest.ECHO)
TITLE = "Serving: OIP JSON, one row of 30 features a request, 200-tree model; medians of interleaved rounds"
PACKAGES = ("fairlead", "onnxruntime", "lightgbm", "numpy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    options = _options(arguments)
    console = Console(stderr=True)
    try:
        with alone():
            return _measure(options, console)
    except BusyError as error:
        console.print(f"error: {error}", soft_wrap=True)
        return 2


def _measure(options: argparse.Namespace, console: Console) -> int:
    guard()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    report = Report(TITLE)
    pace = QUICK if options.quick else replace(FULL, rounds=options.rounds)
    if report.load_before > BUSY:
        say(f"this machine is busy already (load {report.load_before:.1f}): ratios may hold, absolute figures will not")
    load.build_native()
    if not load.ensure_wrk():
        say("wrk is missing and could not be installed: loadgen does the closed loops")
    workload = prepare()
    wrong = _closed_loops(options.only, report, workload, pace, say)
    for name, part in PARTS.items():
        if name in options.only:
            say(f"Fairlead alone: {name}")
            wrong |= _part(part, report, workload, pace)
    out = Console()
    report.show(out if out.is_terminal else Console(width=170))
    path = RESULTS / ("serve-quick.json" if options.quick else "serve.json")
    pins = {
        f"{peer.name}: {name}": pin for peer in PEERS if peer.name in options.only for name, pin in peer.pins().items()
    }
    report.write(path, PACKAGES, {"wrk": load.wrk_version(), **pins})
    say(f"written: {path.name}")
    shutil.rmtree(contest.LOGS, ignore_errors=True)
    return int(wrong)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = (*OWN, *(peer.name for peer in PEERS), *PARTS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: does it work at all?")
    parser.add_argument("--rounds", type=int, default=FULL.rounds, choices=range(1, 10), help="interleaved rounds")
    parser.add_argument("--only", metavar="A,B", help=f"of {', '.join(names)}")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="measure other servers")
    options = parser.parse_args(arguments)
    default = [name for name in names if options.peers or name not in {peer.name for peer in PEERS}]
    options.only = default if options.only is None else options.only.split(",")
    if unknown := set(options.only) - set(names):
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(names)}")
    return options


def _closed_loops(
    only: Sequence[str], report: Report, workload: Workload, pace: contest.Pace, say: contest.Say
) -> bool:
    """Add the rows of the contest; whether anybody answered wrongly."""
    own: dict[str, Callable[[Workload], contest.Contestant]] = {
        contest.OURS: contest.ours,
        contest.OURS_ONNX: contest.ours_onnx,
        contest.CEILING: contest.ceiling,
        contest.ECHO: contest.echo,
    }
    contestants = [make(workload) for name, make in own.items() if name in only]
    peers: list[Peer] = [peer for peer in PEERS if peer.name in only]
    enlisted, absent = contest.enlist(peers, workload, say)
    contestants += enlisted
    results = contest.compete(contestants, pace, say)
    add_rows(report, contestants, results)
    for title, reason in absent.items():
        report.add(Row(f"{title}: not measured, {reason}", None, ""))
    return any(measured.wrong for measured in results.values())


def _part(
    part: Callable[[Workload, contest.Pace], list[Row]], report: Report, workload: Workload, pace: contest.Pace
) -> bool:
    """Add the rows of one part, or a row that says why there are none; whether answers were wrong."""
    try:
        rows = part(workload, pace)
    except WrongAnswersError as error:
        report.add(Row(f"{part.__name__}: wrong answers: {error}", None, ""))
        return True
    except (ServerError, load.LoadError, OSError, ValueError) as error:
        report.add(Row(f"{part.__name__}: failed: {error}", None, ""))
        return False
    for row in rows:
        report.add(row)
    return False


if __name__ == "__main__":
    sys.exit(main())
