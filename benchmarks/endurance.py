"""What is measured of Fairlead alone: promised rate, latency of one client, overload, the price of durability."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.contest import MAIN_CONCURRENCY, Pace, ceiling, onnxruntime_library, ours
from benchmarks.findings import NO_FAILURE, spread_row
from benchmarks.harness import load
from benchmarks.harness.report import Row, Target
from benchmarks.model import HEAVY_ROWS, Workload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.harness.processes import Command

RATE = 15_000
OVERLOAD = 2.0
DEADLINE_MS = 500
QUEUE = 4_096
"""Rows that the endpoint's queue holds."""
OVERLOAD_CONNECTIONS = 6_144
"""More than the endpoint's queue holds, so that the server must refuse. Beyond them requests fail, as at a load
balancer's limit: a queue before the connections would send each request when its time is nearly over."""
TIMEOUT_HEADER = f"Fairlead-Timeout-Ms: {DEADLINE_MS}"
DURABILITY_CONCURRENCY = (MAIN_CONCURRENCY, 256)


def open_loop(workload: Workload, pace: Pace) -> list[Row]:
    """The promised rate: Poisson arrivals, latency from the intended send time."""
    contestant = ours(workload)
    with contestant.serve() as server:
        aim = contestant.aim(server.command.port, contestant.single)
        load.closed(aim, MAIN_CONCURRENCY, pace.warmup_s)
        report = load.loadgen(aim, pace.open_seconds, ["--rate", str(RATE), "--connections", str(MAIN_CONCURRENCY)])
    name = f"Fairlead: open loop {RATE:,}/s for {pace.open_seconds:g} s"
    latency = report["latency_ms"]
    rows = [
        Row(f"{name}: answered", report["answered_per_second"], "requests/s", Target("at least", 0.99 * RATE)),
        Row(f"{name}: failed requests", load.failures(report), "", NO_FAILURE),
    ]
    for quantile, target in (("p50", None), ("p99", Target("at most", 10)), ("p99.9", None), ("max", None)):
        rows.append(Row(f"{name}: {quantile}", latency[quantile], "ms", target))
    rows.append(Row(f"{name}: p99 of the generator's own delay", report["send_delay_ms"]["p99"], "ms"))
    return rows


def one_client(workload: Workload, pace: Pace) -> list[Row]:
    """Latency over one blocking connection, above calling the model in a loop."""
    library = onnxruntime_library()
    bare: list[float] = []
    found: dict[str, list[float]] = {}
    contestants = (ours(workload), ceiling(workload))
    for _ in range(pace.rounds):
        alone = load.bare_latency(workload.onnx, library, workload.single.bodies, pace.seconds)
        bare.append(1e3 * alone["p50_ms"])
        for contestant in contestants:
            with contestant.serve() as server:
                aim = contestant.aim(server.command.port, contestant.single)
                report = load.loadgen(aim, pace.seconds, ["--blocking", "--warmup", str(pace.warmup_s)])
            found.setdefault(contestant.title, []).append(1e3 * report["latency_ms"]["p50"])
    rows = [spread_row("bare onnxruntime, one row: p50", bare, "us")]
    for contestant in contestants:
        added = [a - b for a, b in zip(found[contestant.title], bare, strict=True)]
        target = Target("at most", 150) if contestant is contestants[0] else None
        rows.append(spread_row(f"{contestant.title}: c=1, p50 above bare onnxruntime", added, "us", target))
    return rows


def overload(workload: Workload, pace: Pace) -> list[Row]:
    """Twice what it can: how much of its capacity still arrives in time. With light and with heavy requests."""
    rows = []
    server_cpus, generator_cpus = halves(sorted(os.sched_getaffinity(0)))
    contestant = ours(workload)
    command = contestant.command

    def confined(port: int) -> Command:
        plain = command(port)
        return replace(plain, argv=[*load.pinned(server_cpus), *plain.argv])

    contestant = replace(contestant, command=confined)
    kinds = {"1 row": workload.single, f"{HEAVY_ROWS} rows": workload.heavy}
    for label, requests in kinds.items():
        with contestant.serve() as server:
            aim = contestant.aim(server.command.port, requests)
            rows += _overload(aim, f"Fairlead: {OVERLOAD:g}x overload, {label} a request", pace, generator_cpus)
    return rows


def halves(cpus: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """CPUs for the server and for the generator; both have all (named by none) where there is only one."""
    if len(cpus) < 2:
        return (), ()
    middle = len(cpus) // 2
    return cpus[:middle], cpus[middle:]


def _overload(aim: load.Aim, name: str, pace: Pace, cpus: Sequence[int]) -> list[Row]:
    load.loadgen_closed(aim, MAIN_CONCURRENCY, pace.warmup_s, cpus=cpus)
    few = load.loadgen_closed(aim, MAIN_CONCURRENCY, 2 * pace.seconds, cpus=cpus).per_second
    many = load.loadgen_closed(aim, QUEUE, 2 * pace.seconds, cpus=cpus).per_second
    arguments = ["--rate", str(OVERLOAD * few), "--connections", str(OVERLOAD_CONNECTIONS)]
    arguments += ["--no-wait", "--deadline-ms", str(DEADLINE_MS), "--header", TIMEOUT_HEADER]
    report = load.loadgen(aim, 2 * pace.seconds, arguments, cpus)
    good = report["good_per_second"]
    return [
        Row(f"{name}: capacity (closed loop, c={MAIN_CONCURRENCY})", few, "requests/s"),
        Row(f"{name}: capacity (closed loop, c={QUEUE:,})", many, "requests/s"),
        Row(f"{name}: offered", report["arrivals"] / report["seconds"], "requests/s"),
        Row(f"{name}: answered 200 within {DEADLINE_MS} ms", good, "requests/s"),
        Row(f"{name}: goodput / capacity at c={QUEUE:,}", good / many, "x", Target("at least", 0.9)),
        Row(f"{name}: goodput / capacity at c={MAIN_CONCURRENCY}", good / few, "x", Target("at least", 0.9)),
        Row(f"{name}: refused (429, 503, 504)", _refused(report), "requests/s"),
        Row(f"{name}: found no free connection", report["abandoned"] / report["seconds"], "requests/s"),
        Row(f"{name}: p99 of the 200s", report["latency_200_ms"]["p99"], "ms"),
        Row(f"{name}: broken connections", report["errors"], "", NO_FAILURE),
    ]


def _refused(report: dict[str, Any]) -> float:
    refused = sum(count for status, count in report["by_status"].items() if status in {"429", "503", "504"})
    return float(refused / report["seconds"])


def durability(workload: Workload, pace: Pace) -> list[Row]:
    """What answering only after the row is on disk costs."""
    found: dict[tuple[str, int], list[float]] = {}
    for _ in range(pace.rounds):
        for kind in ("buffered", "acknowledged"):
            contestant = ours(workload, kind)
            with contestant.serve() as server:
                contestant.check(server)
                aim = contestant.aim(server.command.port, contestant.single)
                load.closed(aim, MAIN_CONCURRENCY, pace.warmup_s)
                for concurrency in DURABILITY_CONCURRENCY:
                    per_second = load.closed(aim, concurrency, pace.seconds).per_second
                    found.setdefault((kind, concurrency), []).append(per_second)
    rows = []
    for concurrency in DURABILITY_CONCURRENCY:
        safe, fast = found["acknowledged", concurrency], found["buffered", concurrency]
        costs = [100 * (1 - a / b) for a, b in zip(safe, fast, strict=True)]
        rows.append(spread_row(f"Fairlead, acknowledged log: c={concurrency}", safe, "requests/s"))
        rows.append(spread_row(f"acknowledged log: cost, c={concurrency}", costs, "%", Target("at most", 30)))
    return rows
