"""`python -m benchmarks.statistics`: how often a rollout is rolled back wrongly, and how soon rightly.

Simulated with a fixed seed, so that every machine gives the same figures. A missed target is only reported.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from benchmarks.harness.layout import RESULTS
from benchmarks.harness.report import Report, Row, Target
from benchmarks.rollouts import detection, late_labels, same_model, traps
from benchmarks.rollouts.late_labels import Late
from benchmarks.rollouts.traffic import World
from fairlead.rollout.evidence.planning import Question, plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated."""

    same_model: int
    """Rollouts of the champion against itself."""
    detections: int
    """Rollouts of each regression."""
    traps: int
    world: World


FULL = Size(2_000, 1_000, 1_000, World())
QUICK = Size(200, 100, 100, replace(World(), seconds=240))
SEED = 20_240_229
ALPHA = Target("at most", same_model.ALPHA)
COST = Target("at most", 1.5)
"""Of looking at every moment: median units, by those of the test that looks once."""
TITLE = "Rollouts, simulated: false alarms with a look every second, and units until the right decision"
PACKAGES = ("fairlead", "numpy", "scipy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statistics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: does it work at all?")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    report, size = Report(TITLE), QUICK if options.quick else FULL
    for part in (_same_model, _detection, _certification, _traps, _late_labels):
        began = perf_counter()
        for row in part(np.random.default_rng(SEED), size):
            report.add(row)
        console.print(f"{part.__name__.strip('_')}: {perf_counter() - began:.0f} s", markup=False, highlight=False)
    out = Console()
    report.show(out if out.is_terminal else Console(width=170))
    path = RESULTS / ("statistics-quick.json" if options.quick else "statistics.json")
    report.write(path, PACKAGES, {"seed": str(SEED), "rollouts": str(size.same_model)})
    console.print(f"written: {path.name}", markup=False, highlight=False)
    return 0


def _same_model(rng: np.random.Generator, size: Size) -> Iterator[Row]:
    found = same_model.wrongly_rolled_back(rng, size.world, size.same_model)
    for name, share in found.items():
        yield Row(f"A/A, wrongly rolled back: {name}", share, "", ALPHA if name == "Fairlead, any guardrail" else None)


def _detection(rng: np.random.Generator, size: Size) -> Iterator[Row]:
    cases = (
        *(detection.error_case(0.005, added) for added in (0.005, 0.01, 0.05)),
        *(detection.latency_case(slower) for slower in (1.1, 1.5)),
        *(detection.slow_answers_case(slower) for slower in (1.1, 1.5)),
        *(detection.score_case(shift) for shift in (0.1, 0.25)),
    )
    for case in cases:
        # The fixed sample knows where the p99 lies, which nobody does: shown beside it, without a target.
        quantile = "quantile" in case.name
        rollouts = size.detections // 4 if quantile else size.detections
        yield from _rows("roll-back", case, detection.detect(rng, case, rollouts), None if quantile else COST)


def _certification(rng: np.random.Generator, size: Size) -> Iterator[Row]:
    for margin in (1.25, 1.5, 2.0):
        case = detection.certified_case(0.01, margin)
        found = detection.detect(rng, case, size.detections)
        yield from _rows("certified", case, found, COST)
        need = plan(Question(0.01, safe_margin=margin)).safe
        if found.median is not None and need.median_events is not None:
            planned = need.median_events / 0.01
            name = f"certified, {case.name}: median units / the planner's"
            yield Row(name, found.median / planned, "x", Target("at most", 1.1))


def _traps(rng: np.random.Generator, size: Size) -> Iterator[Row]:
    for requests in (1.0, 2.0, 5.0):
        wrong, right = traps.request_counting(rng, size.traps, 1_500, requests)
        name = f"trap, false alarms with {requests:g} bad requests a failing unit"
        yield Row(f"{name}: counting requests", wrong, "")
        yield Row(f"{name}: counting units", right, "", ALPHA)
    for how, share in traps.ramp_pooling(rng, size.traps, 300).items():
        bound = ALPHA if how.startswith("by epoch") else None
        yield Row(f"trap, false alarms over a ramp of 5, 25, 50 %: {how}", share, "", bound)


def _late_labels(rng: np.random.Generator, size: Size) -> Iterator[Row]:
    """Half as many rollouts: each look is made from its units, not from counts."""
    rollouts = size.traps // 2
    for name, seen in late_labels.rolled_back(rng, Late(), rollouts).items():
        bound = None if name == late_labels.POOLED else ALPHA
        yield Row(f"late labels, A/A over a ramp, wrongly rolled back: {name}", seen.share, "", bound)
    for ratio in (1.5, 2.0):
        found = late_labels.rolled_back(rng, Late(ratio=ratio), rollouts // 5)
        for name in late_labels.METHODS:
            what = f"late labels, {ratio:g} times the false positives: {name}"
            yield Row(f"{what}: hours until roll-back, median", found[name].median, "h")
            yield Row(f"{what}: rolled back", found[name].share, "")


def _rows(what: str, case: detection.Case, found: detection.Detected, bound: Target | None) -> Iterator[Row]:
    name = f"{what}, {case.name}"
    yield Row(f"{name}: median units, both arms", found.median, "units")
    yield Row(f"{name}: fixed sample of 80 % power", found.fixed, "units")
    ratio = None if found.median is None else found.median / found.fixed
    yield Row(f"{name}: median / fixed sample", ratio, "x", bound)
    yield Row(f"{name}: decided within {case.horizon:g} times the fixed sample", found.share, "")


if __name__ == "__main__":
    sys.exit(main())
