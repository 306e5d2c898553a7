"""Telemetry: what is refused, and the laws of adding it up."""

from __future__ import annotations

import base64
import itertools
import random
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.schema.snapshot import Role
from fairlead.schema.telemetry import (
    LATENCY_EDGES_US,
    LOGIT_BINS,
    SCORE_BINS,
    SCORE_DELTA_EDGES,
    SKETCH_REGISTERS,
    ArmCounts,
    EndpointTelemetry,
    ShadowCounts,
    SliceCounts,
    distinct,
    merge,
    registers,
)

COUNTS = st.integers(0, 10**12)


def sketch(values: bytes) -> str:
    return base64.b64encode(values).decode()


def listed(length: int) -> st.SearchStrategy[list[int]]:
    return st.lists(COUNTS, min_size=length, max_size=length)


SLICES = st.builds(
    SliceCounts,
    column=st.sampled_from(["age", "country"]),
    value=st.sampled_from([1, True, "SE", None]),
    units=COUNTS,
    unit_errors=COUNTS,
    unit_decisions=listed(2),
)
ARMS = st.builds(
    ArmCounts,
    version=st.sampled_from("12"),
    role=st.sampled_from(Role),
    epoch=st.integers(0, 2),
    requests=COUNTS,
    errors=COUNTS,
    units=COUNTS,
    unit_errors=COUNTS,
    unit_violations=COUNTS,
    unit_decisions=st.lists(COUNTS, max_size=3),
    score_counts=listed(SCORE_BINS),
    matched=st.booleans(),
    slices=st.lists(SLICES, max_size=4),
    units_sketch=st.binary(max_size=16).map(lambda some: sketch(some.ljust(SKETCH_REGISTERS, b"\1"))) | st.just(""),
)
LABELS = st.sampled_from([0, 1, True, "yes", 1.5])
SHADOWS = st.builds(
    ShadowCounts,
    version=st.sampled_from("12"),
    epoch=st.integers(0, 1),
    pairs=COUNTS,
    failures=COUNTS,
    flips=st.lists(st.tuples(LABELS, LABELS, COUNTS), max_size=4),
    scores=st.dictionaries(st.integers(0, LOGIT_BINS - 1), COUNTS, max_size=4).map(lambda bins: sorted(bins.items())),
    score_delta_counts=listed(len(SCORE_DELTA_EDGES) + 1),
)
REPORTS = st.lists(
    st.builds(
        EndpointTelemetry,
        name=st.sampled_from(["fraud", "risk"]),
        arms=st.lists(ARMS, max_size=3),
        shadows=st.lists(SHADOWS, max_size=2),
    ),
    max_size=3,
)


def plain(merged: list[EndpointTelemetry]) -> Any:
    """As JSON, since True == 1 in Python; labels of decisions are padded."""
    found = [one.model_dump(mode="json") for one in merged]
    for endpoint in found:
        for arm in endpoint["arms"]:
            arm["unit_decisions"] = (arm["unit_decisions"] + [0, 0, 0])[:3]
    return repr(found)


@given(st.lists(REPORTS, max_size=4), st.randoms())
def test_the_order_of_reports_does_not_matter(reports: list[list[EndpointTelemetry]], shuffle: random.Random) -> None:
    other = list(reports)
    shuffle.shuffle(other)
    assert plain(merge(reports)) == plain(merge(other))


@given(REPORTS, REPORTS, REPORTS)
def test_neither_does_the_grouping(a: Any, b: Any, c: Any) -> None:
    assert plain(merge([merge([a, b]), c])) == plain(merge([a, merge([b, c])])) == plain(merge([a, b, c]))


@given(st.lists(REPORTS, max_size=4))
def test_nothing_is_lost(reports: list[list[EndpointTelemetry]]) -> None:
    everything = [one for report in reports for one in report]
    found = merge(reports)
    for name in ("requests", "errors", "units", "unit_errors", "unit_violations"):
        assert sum(getattr(arm, name) for one in found for arm in one.arms) == sum(
            getattr(arm, name) for one in everything for arm in one.arms
        )
    assert sum(count for one in found for shadow in one.shadows for *_, count in shadow.flips) == sum(
        count for one in everything for shadow in one.shadows for *_, count in shadow.flips
    )
    scored = [pair for one in everything for shadow in one.shadows for pair in shadow.scores]
    assert sum(number * count for one in found for s in one.shadows for number, count in s.scores) == sum(
        number * count for number, count in scored
    )
    keys = [(one.name, arm.version, arm.role, arm.epoch, arm.matched) for one in found for arm in one.arms]
    assert len(keys) == len(set(keys))
    for name in ("units", "unit_errors"):
        sums = [
            sum(getattr(slice_, name) for one in some for arm in one.arms for slice_ in arm.slices)
            for some in (found, everything)
        ]
        assert sums[0] == sums[1]
    for arm in (arm for one in found for arm in one.arms):
        assert len({one.key for one in arm.slices}) == len(arm.slices)


def test_a_report_of_before_there_were_slices_and_controls_is_still_one() -> None:
    old = ArmCounts(version="1", role=Role.CHAMPION, epoch=1).model_dump(mode="json", exclude={"matched", "slices"})
    found = ArmCounts.model_validate(old)
    assert (found.matched, found.slices) == (False, [])


@pytest.mark.parametrize("scores", [[(5, 1), (4, 1)], [(5, 1), (5, 1)], [(LOGIT_BINS, 1)]])
def test_bins_of_scores_ascend_and_are_known(scores: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="scores: bins ascend and are below 1024"):
        ShadowCounts(version="1", epoch=0, scores=scores)


def test_labels_that_python_takes_for_equal_are_kept_apart() -> None:
    flips: list[Any] = [(1, True, 2), (True, 1, 3), (1, 1.0, 4)]
    [endpoint] = merge([[EndpointTelemetry(name="x", shadows=[ShadowCounts(version="1", epoch=0, flips=flips)])]] * 2)
    found = {(repr(given), repr(other)): count for given, other, count in endpoint.shadows[0].flips}
    assert found == {("1", "True"): 4, ("True", "1"): 6, ("1", "1.0"): 8}


@pytest.mark.parametrize("true", [0, 3, 500, 40_000])
def test_a_sketch_estimates_how_many_units_there_were(true: int) -> None:
    draw, precision = random.Random(5), 12
    found = bytearray(2**precision)
    for _ in range(true):
        value = draw.getrandbits(64)
        index, rest = value >> (64 - precision), value & (2 ** (64 - precision) - 1)
        found[index] = max(found[index], 64 - precision - rest.bit_length() + 1)
    assert distinct(sketch(bytes(found))) == pytest.approx(true, rel=0.06)
    assert distinct("") == 0.0


@pytest.mark.parametrize("wrong", ["?", sketch(b"abc"), sketch(bytes(2_048)), sketch(bytes(8_192))])
def test_what_is_no_sketch_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="sketch"):
        registers(wrong)
    with pytest.raises(pydantic.ValidationError):
        ArmCounts(version="1", role=Role.CHAMPION, epoch=0, units_sketch=wrong)


@pytest.mark.parametrize("field", ["score_counts", "latency_counts"])
def test_counts_on_other_bins_are_refused(field: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=field):
        ArmCounts.model_validate({"version": "1", "role": "champion", "epoch": 0, field: [1, 2]})


def test_the_latency_bins_are_four_to_the_octave_from_50_us_to_a_minute() -> None:
    assert (LATENCY_EDGES_US[0], LATENCY_EDGES_US[-1]) == (50, 60_000_000)
    ratios = [b / a for a, b in itertools.pairwise(LATENCY_EDGES_US)]
    assert all(1.14 < ratio < 1.22 for ratio in ratios)
    assert LATENCY_EDGES_US[4] == 100
