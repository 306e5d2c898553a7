"""The story: one chapter after the other, each telling what it does and how long it took."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from fairlead.bundle import PackRequest, PackResult, pack
from fairlead.bundle.parity import DEFAULT_TOLERANCE
from fairlead.demo.account import Judge, check_log, read_answers, speed_of
from fairlead.demo.challengers import Source
from fairlead.demo.delivery import Delivered, deliver
from fairlead.demo.driver import Leg, LegResult, plan_legs, send
from fairlead.demo.material import Material
from fairlead.demo.options import DemoOptions, Workplace, claim, clear
from fairlead.demo.payments import payments_material
from fairlead.demo.prototype import Prototype, train
from fairlead.demo.records import bodies
from fairlead.demo.server import RunningServer, ServePlan, serving
from fairlead.demo.summary import UNITLESS, Outcome
from fairlead.demo.table import table_material
from fairlead.demo.telling import chapter

if TYPE_CHECKING:
    from rich.console import Console

SAMPLE_ROWS = 50_000
"""Training rows that go into the bundle's profile: enough for its quantiles."""
SAMPLE = "sample.parquet"


def run(options: DemoOptions, console: Console) -> Outcome:
    """Run the whole demo. Raises `FairleadError`; whatever happens, no process is left behind."""
    begin = time.monotonic()
    place = claim(options.out)
    with chapter(console, "Reading the data" if options.file else "Drawing a stream of card payments"):
        material = table_material(options) if options.file else payments_material(options)
        _tell_material(console, material)
    clear(place)
    with chapter(console, "Training the prototype"):
        prototype = train(material, options.pace, place.prototype)
    with chapter(console, "Packing it"):
        packed = _pack(material, prototype, place)
    with chapter(console, "Preparing the traffic"):
        legs = plan_legs(material, options.pace, place.traffic)
    plan = ServePlan(
        bundle=packed.path,
        log=place.log,
        port=options.port,
        unit_key=material.unit[0] if material.unit else None,
        stderr=place.root / "server.err",
        # The pickle, if it came to one, was made by this very process a moment ago.
        trust_pickle=packed.manifest.requires_trust,
        # Where versions are rolled out, both planes are what is kept.
        keep=options.keep and material.unit is None,
    )
    with chapter(console, "Serving it, with live traffic from another process"), serving(plan) as server:
        console.print(f"  {material.endpoint} at {server.url}")
        results = _send(server, material, legs, console)
        decision = packed.signature.decision
        assert decision is not None  # a classifier's bundle has one
        judge = Judge(prototype, decision.labels[1], DEFAULT_TOLERANCE)
        reading = read_answers(results, material, judge)
        log = check_log(place.log, reading.ids)
    source = Source(material, prototype, packed, place.prototype / SAMPLE, options.pace, place)
    delivered = _deliver(source, options, console)
    return Outcome(
        material=material,
        prototype=prototype,
        packed=packed,
        server=server,
        speeds=[speed_of(result) for result in results],
        reading=reading,
        log=log,
        delivered=delivered,
        example=bodies(material, legs[0].rows[:1])[0],
        place=place,
        seconds=time.monotonic() - begin,
    )


def failure_of(outcome: Outcome) -> str | None:
    """What of the demo's promises was not kept, None where all was well."""
    if not outcome.log.complete:
        return f"the prediction log lacks {outcome.log.missing} answers and has {outcome.log.extra} too many"
    if outcome.reading.duplicates:
        return f"{outcome.reading.duplicates} prediction ids were given out twice"
    apart = outcome.reading.agreement.largest_difference_float32
    if apart > DEFAULT_TOLERANCE:
        return f"a served score is {apart:.3g} away from the notebook's score of the same 32-bit values"
    if not outcome.reading.ids:
        return f"no request was answered: {outcome.reading.refusals}"
    return None if outcome.delivered is None else outcome.delivered.failure()


def _deliver(source: Source, options: DemoOptions, console: Console) -> Delivered | None:
    if source.material.unit is None:
        console.print(f"No rollouts: {UNITLESS}")
        return None
    return deliver(source, options, console)


def _pack(material: Material, prototype: Prototype, place: Workplace) -> PackResult:
    import pyarrow as pa
    from pyarrow import parquet

    chosen = material.train
    if len(chosen) > SAMPLE_ROWS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, SAMPLE_ROWS).astype(np.int64)]
    frame = material.features.iloc[chosen].assign(**{material.label_name: material.labels[chosen]})
    sample = place.prototype / SAMPLE
    parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), sample)
    request = PackRequest(
        source=prototype.source,
        name=material.endpoint,
        data=sample,
        target=material.label_name,
        out=place.bundles,
        threshold=prototype.threshold,
    )
    return pack(request)


def _send(server: RunningServer, material: Material, legs: list[Leg], console: Console) -> list[LegResult]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.fields[answers]:,} answers"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as bars:
        tasks = {leg.name: bars.add_task(leg.name, total=leg.plan.seconds, start=False, answers=0) for leg in legs}

        def progress(phase: str, answers: int, seconds: float) -> None:
            bars.start_task(tasks[phase])
            bars.update(tasks[phase], completed=seconds, answers=answers)

        return send(server, material.endpoint, legs, progress)


def _tell_material(console: Console, material: Material) -> None:
    share = material.labels.mean()
    console.print(f"  {material.source}: {len(material.labels):,} rows, {share:.3%} positive")
    for remark in (*material.remarks, *material.columns):
        console.print(f"  {remark}", markup=False)
