"""`python -m benchmarks.drift_detection`: how often drift is called where there is none, and how soon where there is.

Simulated with a fixed seed, so that every machine gives the same figures, the cost of a tick apart. A missed target is
only reported.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.detection import peers, runs, traps, worlds
from benchmarks.harness.layout import RESULTS
from benchmarks.harness.report import Report, Row, Target
from benchmarks.peers.peer import InstallError
from fairlead.monitor.sequential.detector import Detector, Promise, Tick
from fairlead.monitor.sequential.state import stored


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated."""

    endpoints: int
    """Without drift."""
    references: int
    delays: int
    """Runs of each change."""
    peer_rows: int
    """Calm rows on which the peers are set."""


FULL = Size(1_000, 20, 100, 200_000)
QUICK = Size(100, 5, 20, 30_000)
SEED = 20_240_229
SMALL, USUAL = 10_000.0, 1_000_000.0
"""Requests per false alarm: in the comparison, where the peers must be measured, and by default."""
WIDE = 2_000.0
"""... with 30 features, where it takes long to see a false alarm at all."""
TICK, HORIZON = 20, 20_000
REFERENCE = 10_000
Part = Callable[[np.random.Generator, Size], Iterator[Row]]
TITLE = "Drift, simulated: rows between false alarms, and rows until a change is found"
PACKAGES = ("fairlead", "numpy", "scipy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift_detection", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: does it work at all?")
    parser.add_argument("--no-peers", action="store_true", help="without ADWIN, KSWIN and Page-Hinkley")
    options = parser.parse_args(arguments)
    console, report = Console(stderr=True), Report(TITLE)
    size = QUICK if options.quick else FULL
    parts: dict[str, Part] = {
        "no drift": _calm,
        "traps": _traps,
        "drift": _delays,
        "compared": partial(_compared, with_peers=not options.no_peers),
        "cost": _cost,
    }
    for name, part in parts.items():
        began = perf_counter()
        for row in part(np.random.default_rng(SEED), size):
            report.add(row)
        console.print(f"{name}: {perf_counter() - began:.0f} s", markup=False, highlight=False)
    out = Console()
    report.show(out if out.is_terminal else Console(width=170))
    path = RESULTS / ("drift_detection-quick.json" if options.quick else "drift_detection.json")
    tools = {"river": (peers.SOURCE / "requirements.txt").read_text().split("==")[1].strip()}
    report.write(path, PACKAGES, tools | {"seed": str(SEED), "endpoints": str(size.endpoints)})
    console.print(f"written: {path.name}", markup=False, highlight=False)
    return 0


def _calm(rng: np.random.Generator, size: Size) -> Iterator[Row]:
    """No drift, and a reference without error: where the promise is kept most narrowly."""
    known = worlds.known
    usual = [worlds.usual("number")]
    wide = Detector(known("number", 30), Promise(WIDE, 0.0))
    one = Detector(known("number"), Promise(SMALL, 0.0))
    tight = Detector(known("number"), Promise(200, 0.0))
    edge = Detector(known("number"), Promise(SMALL, 0.1))
    scores = Detector(known("score"), Promise(SMALL, 0.0))
    cases = (
        ("30 features, ticks of 50 rows", wide, runs.even(usual * 30, 50), 3 * WIDE),
        ("1 feature, ticks of 50 rows", one, runs.even(usual, 50), 3 * SMALL),
        ("1 feature, a tick for each row", tight, runs.even(usual, 1), 2_000),
        ("1 feature, ticks of 0 to 3,000 rows", one, traps.uneven_ticks(), 20 * SMALL),
        ("1 feature, at the edge of the tolerance", edge, runs.even(traps.tolerable(0.1), 50), 3 * SMALL),
        ("scores, ticks of 50 rows", scores, runs.even([worlds.usual("score")], 50), 3 * SMALL),
    )
    for name, detector, draw, rows in cases:
        found = runs.calm(rng, detector, draw, size.endpoints, int(rows))
        promised = detector.promise.requests
        yield _calm_row(f"no drift, {name}, promised {promised:,.0f}", found, promised)


def _traps(rng: np.random.Generator, size: Size) -> Iterator[Row]:
    promised = traps.REQUESTS
    for rows in (500, 1_000, 10_000):
        honest, taken = traps.finite_reference(rng, rows, size.references, 20)
        yield _calm_row(f"trap, reference of {rows:,} rows: its error counted", honest, promised)
        yield _calm_row(f"trap, reference of {rows:,} rows: taken for the truth", taken, None)
    for name, found in traps.bursts(rng, size.endpoints):
        bound = promised if name == f"cluster {traps.BURST}" else None
        yield _calm_row(f"trap, each row {traps.BURST} times: {name}", found, bound)
    for name, found in traps.daily_cycle(rng, size.endpoints // 5):
        bound = None if name == "one reference" else promised
        yield _calm_row(f"trap, daily cycle of {traps.SWING:g} deviations: {name}", found, bound)


def _calm_row(name: str, found: runs.Calm, promised: float | None) -> Row:
    target = None if promised is None else Target("at least", promised)
    kind = "none" if found.alarms == 0 else f"{found.alarms:,}"
    return Row(f"{name} ({kind} in {found.rows:,.0f} rows)", found.between, "rows per alarm", target)


def _delays(rng: np.random.Generator, size: Size) -> Iterator[Row]:
    """At the default promise, of 30 features and the scores together."""
    for case in worlds.CASES[:-1]:
        for reference in (REFERENCE, 10 * REFERENCE):
            found = []
            for _ in range(4):
                own = worlds.sampled(rng, case.kind, reference)
                others = [
                    worlds.watched(f"other {i}", "number", stream.reference)
                    for i, stream in enumerate(worlds.sampled(rng, "number", reference, 30))
                ]
                detector = Detector([*own, *others], Promise(USUAL))
                changed = _among(case, 30)
                found.append(runs.delays(rng, detector, changed, runs.Length(size.delays // 4, 100, 10 * HORIZON)))
            name = f"drift among 31 streams, promised 1,000,000, reference {reference:,}: {case.name}"
            yield from _delay_rows(name, np.concatenate(found))


def _among(case: worlds.Case, others: int) -> worlds.Case:
    return worlds.Case(
        case.name, case.kind, case.shift, case.scale, case.missing, case.fraud, case.ramp, streams=others + 1
    )


def _compared(rng: np.random.Generator, size: Size, *, with_peers: bool) -> Iterator[Row]:
    """At one false alarm in 10,000 rows, against detectors that are set to exactly that on calm traffic."""
    others: dict[str, dict[str, Any]] = {}
    if with_peers:
        job = peers.Job(SMALL, size.peer_rows, max(size.delays * 3 // 10, 5), HORIZON, SEED)
        try:
            others = peers.measured(job, worlds.CASES)
        except InstallError as error:
            yield Row(f"compared: river could not be had: {error}", None, "")
    enough: dict[tuple[str, int, float], float] = {}
    for case in worlds.CASES:
        for tolerance, reference in ((0.1, REFERENCE), (0.0, 10 * REFERENCE)):
            drawn = [worlds.sampled(rng, case.kind, reference, case.streams) for _ in range(10)]
            detectors = [Detector(streams, Promise(SMALL, tolerance)) for streams in drawn]
            key = (case.kind, case.streams, tolerance)
            if key not in enough:
                calm = runs.Length(max(size.endpoints // 100, 4), TICK, int(3 * SMALL))
                enough[key] = runs.threshold(rng, detectors, case, calm, SMALL)
            length = runs.Length(size.delays // 10, TICK, HORIZON)
            for how, needed in ((f"promised {SMALL:,.0f}", None), (f"set to {SMALL:,.0f} measured", enough[key])):
                found = [runs.delays(rng, detector, case, length, needed) for detector in detectors]
                full = f"{case.name}: Fairlead, tolerance {tolerance:g}, reference {reference:,}, {how}"
                yield from _delay_rows(full, np.concatenate(found))
        for name, measured in others.get(case.name, {}).items():
            delays = np.array([np.inf if delay is None else delay for delay in measured["delays"]])
            full = f"{case.name}: {name}, set to {measured['between']:,.0f} rows per false alarm"
            yield from _delay_rows(full, delays)


def _delay_rows(name: str, found: worlds.Floats) -> Iterator[Row]:
    middle = float(np.median(found))
    yield Row(f"{name}, median rows until found", middle if np.isfinite(middle) else None, "rows")
    if not np.isfinite(found).all():
        yield Row(f"{name}, found at all", float(np.isfinite(found).mean()), "")


def _cost(rng: np.random.Generator, size: Size) -> Iterator[Row]:
    """Of 30 features and scores: a tick, and what is kept."""
    streams = [*worlds.sampled(rng, "number", REFERENCE, 30), *worlds.sampled(rng, "score", REFERENCE)]
    began = perf_counter()
    detector = Detector(streams)
    yield Row("cost, 31 streams: to compile", perf_counter() - began, "s")
    ticks = []
    for _ in range(max(size.endpoints // 5, 20)):
        counts = {s.name: rng.multinomial(1_000, s.reference[0] / s.reference.sum()).tolist() for s in streams}
        ticks.append(Tick(1_000, counts))
    state, began = detector.start(), perf_counter()
    for tick in ticks:
        state = detector.advance(state, tick)
        detector.alarms(state)
    yield Row("cost, 31 streams: a tick", (perf_counter() - began) / len(ticks) * 1e3, "ms")
    yield Row("cost, 31 streams: state", len(stored(detector, state).model_dump_json()) / 1e3, "kB")


if __name__ == "__main__":
    sys.exit(main())
