"""Telemetry: what a replica has counted since it started.

Every count is cumulative since the replica's incarnation. The whole truth is therefore the sum over the latest report
of each (replica, incarnation), and a report that comes twice, late or in another order changes nothing.
"""

from __future__ import annotations

import base64
import binascii
import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from fairlead.schema.base import Document
from fairlead.schema.bundle import BundleName
from fairlead.schema.signature import Scalar
from fairlead.schema.snapshot import Role, SliceColumn, Version

SCORE_BINS = 20
"""Equal bins on [0, 1]: bin i is [i/20, (i+1)/20), the last one closed. A score outside goes to the nearest bin."""

LATENCY_EDGES_US: tuple[int, ...] = (*(round(50 * 2 ** (i / 4)) for i in range(81)), 60_000_000)
"""Upper bounds of the latency bins in microseconds, four to the octave: bin 0 is (0, 50], the last is above 60 s."""

SCORE_DELTA_EDGES: tuple[float, ...] = (1e-6, 1e-4, 1e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5)
"""Lower bounds of the bins of |score of the shadow - score given| beyond bin 0, which is "the same"."""

LOGIT_BINS = 1_024
"""Bins of a shadow's scores, equal in log-odds: bin k begins at `logit_edge(k)`. As fine for a decision of one row in
ten thousand as for one of every other; scores outside go to the nearest."""

LOGIT_LIMIT = 16.0
"""Log-odds of the last bin's end; the first begins at minus this."""

SKETCH_REGISTERS = 4_096
"""Registers of the sketch of units, one byte each: the first 12 bits of a unit's 64-bit hash choose one, and it keeps
the most leading zeros of the other 52, plus one. Standard error 1.6 percent."""

Count = Annotated[int, Field(ge=0)]


def registers(sketch: str) -> bytes:
    """Return the registers of a HyperLogLog sketch; raises `ValueError` for what is none."""
    try:
        content = base64.b64decode(sketch, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a sketch is base64: {error}") from None
    if len(content) not in (0, SKETCH_REGISTERS):
        raise ValueError(f"a sketch has {SKETCH_REGISTERS} registers, got {len(content)}")
    return content


def _sketch(value: str) -> str:
    registers(value)
    return value


Sketch = Annotated[str, AfterValidator(_sketch)]
"""HyperLogLog registers, one byte each, in base64; empty: nothing was counted."""


def logit_edge(number: int) -> float:
    """Return the score at which bin `number` of `LOGIT_BINS` begins."""
    return 1 / (1 + math.exp(LOGIT_LIMIT - number * 2 * LOGIT_LIMIT / LOGIT_BINS))


class SliceCounts(Document):
    """Those of an arm's units whose first row had one value in a column."""

    column: SliceColumn
    value: Scalar | None = None
    """None: it was missing or invalid, or it is one of the others."""
    other: bool = False
    """All values that have no slice of their own."""
    units: Count = 0
    unit_errors: Count = 0
    unit_violations: Count = 0
    unit_decisions: list[Count] = Field(default_factory=list)

    @property
    def key(self) -> SliceKey:
        """What it is the slice of."""
        return slice_key(self.column, self.value, other=self.other)


SliceKey = tuple[str, bool, str, Scalar | None]


def slice_key(column: str, value: Scalar | None, *, other: bool) -> SliceKey:
    """Return what tells a slice from others: True, 1 and 1.0 are one dictionary key, but three values."""
    return column, other, type(value).__name__, value


class ArmCounts(Document):
    """One version in one role during one epoch, the time in which its share of traffic does not change."""

    version: Version
    role: Role
    epoch: Count
    matched: bool = False
    """The champion's units that are the matched control (`Routing.matched`); they are in no other arm."""
    requests: Count = 0
    errors: Count = 0
    units: Count = 0
    """Units seen for the first time."""
    unit_errors: Count = 0
    """Units with at least one error."""
    unit_violations: Count = 0
    """Units with at least one row that broke the signature."""
    unit_decisions: list[Count] = Field(default_factory=list)
    """Units by their first decision, in the order of the signature's labels."""
    score_counts: list[Count] = Field(default_factory=lambda: [0] * SCORE_BINS)
    """Units by their first score."""
    latency_counts: list[Count] = Field(default_factory=lambda: [0] * (len(LATENCY_EDGES_US) + 1))
    """Units by the latency of their first answer."""
    units_sketch: Sketch = ""
    slices: list[SliceCounts] = Field(default_factory=list)
    """By the columns that the snapshot names (`Routing.slices`), in no order."""

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        _length("score_counts", self.score_counts, SCORE_BINS)
        _length("latency_counts", self.latency_counts, len(LATENCY_EDGES_US) + 1)
        return self


class ShadowCounts(Document):
    """A shadow's answers beside the answers that were given."""

    version: Version
    epoch: Count
    pairs: Count = 0
    flips: list[tuple[Scalar, Scalar, Count]] = Field(default_factory=list)
    """From the decision given, to the shadow's, how often."""
    score_delta_counts: list[Count] = Field(default_factory=lambda: [0] * (len(SCORE_DELTA_EDGES) + 1))
    scores: list[tuple[Count, Count]] = Field(default_factory=list)
    """The shadow's scores of the pairs in `flips`: bin of `LOGIT_BINS`, ascending, and how many; others are empty."""
    failures: Count = 0
    """Pairs that did not come about: the shadow failed or was too late."""

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        _length("score_delta_counts", self.score_delta_counts, len(SCORE_DELTA_EDGES) + 1)
        bins = [number for number, _ in self.scores]
        if bins != sorted(set(bins)) or any(number >= LOGIT_BINS for number in bins):
            raise ValueError(f"scores: bins ascend and are below {LOGIT_BINS}")
        return self


class EndpointTelemetry(Document):
    name: BundleName
    arms: list[ArmCounts] = Field(default_factory=list)
    shadows: list[ShadowCounts] = Field(default_factory=list)


class Telemetry(Document):
    """A report. `sequence` grows within an incarnation; `generation` is the snapshot applied."""

    schema_version: Literal[1] = 1
    replica: str = Field(min_length=1, max_length=200)
    incarnation: int = Field(ge=0)
    """When the replica started, in microseconds: a later one is another life."""
    sequence: Count
    generation: Count
    region: str | None = Field(default=None, max_length=100)
    time_us: int = Field(ge=0)
    endpoints: list[EndpointTelemetry] = Field(default_factory=list)


def merge(reports: Iterable[Sequence[EndpointTelemetry]]) -> list[EndpointTelemetry]:
    """Add up what several replicas counted, by endpoint, version, role, epoch and whether matched, in that order.

    Associative and commutative.
    """
    arms: dict[tuple[str, str, str, int, bool], ArmCounts] = {}
    shadows: dict[tuple[str, str, int], ShadowCounts] = {}
    names: set[str] = set()
    for endpoint in itertools.chain.from_iterable(reports):
        names.add(endpoint.name)
        for arm in endpoint.arms:
            key = (endpoint.name, arm.version, arm.role.value, arm.epoch, arm.matched)
            arms[key] = _add_arms(arms.get(key) or _no_units(arm), arm)
        for shadow in endpoint.shadows:
            at = (endpoint.name, shadow.version, shadow.epoch)
            shadows[at] = _add_shadows(shadows[at], shadow) if at in shadows else _add_shadows(_nothing(shadow), shadow)
    return [
        EndpointTelemetry(
            name=name,
            arms=[arm for key, arm in sorted(arms.items()) if key[0] == name],
            shadows=[shadow for at, shadow in sorted(shadows.items()) if at[0] == name],
        )
        for name in sorted(names)
    ]


def together(sketches: Iterable[str]) -> str:
    """Return the sketch of all units that any of these has seen. Raises `ValueError` where their sizes differ."""
    return functools.reduce(_union, sketches, "")


def distinct(sketch: str) -> float:
    """Return the number of different units that a sketch has seen, within a few percent (HyperLogLog).

    Flajolet, Fusy, Gandouet and Meunier, 2007, with linear counting where few registers are set.
    """
    found = registers(sketch)
    size = len(found)
    if not size:
        return 0.0
    alpha = 0.7213 / (1 + 1.079 / size)
    estimate = alpha * size * size / math.fsum(2.0**-register for register in found)
    empty = found.count(0)
    return size * math.log(size / empty) if empty and estimate <= 2.5 * size else estimate


def _length(name: str, counts: Sequence[int], wanted: int) -> None:
    if len(counts) != wanted:
        raise ValueError(f"{name} has {len(counts)} bins, {wanted} are defined")


def _sums(first: Sequence[int], second: Sequence[int]) -> list[int]:
    return [a + b for a, b in itertools.zip_longest(first, second, fillvalue=0)]


def _union(first: str, second: str) -> str:
    if not first or not second:
        return first or second
    return base64.b64encode(bytes(map(max, registers(first), registers(second)))).decode()


def _add_arms(first: ArmCounts, second: ArmCounts) -> ArmCounts:
    counted = ("requests", "errors", "units", "unit_errors", "unit_violations")
    changes: dict[str, object] = {name: getattr(first, name) + getattr(second, name) for name in counted}
    for name in ("unit_decisions", "score_counts", "latency_counts"):
        changes[name] = _sums(getattr(first, name), getattr(second, name))
    changes["units_sketch"] = _union(first.units_sketch, second.units_sketch)
    changes["slices"] = _add_slices((*first.slices, *second.slices))
    return first.model_copy(update=changes)


def _no_units(arm: ArmCounts) -> ArmCounts:
    return ArmCounts(version=arm.version, role=arm.role, epoch=arm.epoch, matched=arm.matched)


def _add_slices(counted: Iterable[SliceCounts]) -> list[SliceCounts]:
    """Add up slices of one value; ordered, so that the order of reports does not show."""
    found: dict[SliceKey, SliceCounts] = {}
    for one in counted:
        before = found.get(one.key)
        if before is not None:
            names = ("units", "unit_errors", "unit_violations")
            changes: dict[str, object] = {name: getattr(before, name) + getattr(one, name) for name in names}
            changes["unit_decisions"] = _sums(before.unit_decisions, one.unit_decisions)
            found[one.key] = before.model_copy(update=changes)
        else:
            found[one.key] = one
    return [found[key] for key in sorted(found, key=lambda key: tuple(map(str, key)))]


def _nothing(shadow: ShadowCounts) -> ShadowCounts:
    return ShadowCounts(version=shadow.version, epoch=shadow.epoch)


def _add_shadows(first: ShadowCounts, second: ShadowCounts) -> ShadowCounts:
    flips: Counter[tuple[str, Scalar, str, Scalar]] = Counter()
    for given, other, count in (*first.flips, *second.flips):
        # True, 1 and 1.0 are one dictionary key, but three labels.
        flips[type(given).__name__, given, type(other).__name__, other] += count
    ordered = sorted(flips.items(), key=lambda item: tuple(map(str, item[0])))
    scores: Counter[int] = Counter()
    for number, count in (*first.scores, *second.scores):
        scores[number] += count
    return first.model_copy(
        update={
            "pairs": first.pairs + second.pairs,
            "failures": first.failures + second.failures,
            "flips": [(given, other, count) for (_, given, _, other), count in ordered],
            "score_delta_counts": _sums(first.score_delta_counts, second.score_delta_counts),
            "scores": sorted(scores.items()),
        }
    )
