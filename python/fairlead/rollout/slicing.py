"""A guardrail by slices: which of them the challenger harms, and whether all that can be judged are safe.

*Harm* is that e-BH names a slice at the guardrail's level: k slices with evidence of K / (k alpha) each, of the K that
there can be. Then k times the k-th largest e-value, over K, is at least 1 / alpha. The largest of these is at most the
mean of all K e-values, and a mean of e-processes is one, whatever they have to do with each other: where no slice is
harmed, any is ever named with probability at most alpha, however often one looks. K is fixed before anything is
counted, and slices that nobody has been in have an e-value of 1; with as many as have been seen so far it would not be
a mean of the same processes from look to look.

*Safe* is that each slice with units enough is shown safe, at the full level: to be wrong takes one that is not.
Source: Wang and Ramdas, "False discovery rate control with e-values", JRSSB 2022; Berger 1982 for the intersection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log

from fairlead.rollout.evidence.several import discoveries, strongest
from fairlead.rollout.rates import Compared, Row, Shown, by_epoch, outcomes
from fairlead.schema.guardrail import Guardrail
from fairlead.schema.rollout_state import RolloutState, SliceAssessment, SliceEvidence
from fairlead.schema.signature import FeatureSpec, FeatureType
from fairlead.schema.snapshot import MOST_SLICE_VALUES
from fairlead.schema.telemetry import SliceKey, slice_key

OPEN_SIZE = MOST_SLICE_VALUES + 2
"""Slices that a column can have whose values are not known beforehand: values, all others, missing."""


def slice_size(feature: FeatureSpec) -> int:
    """Return how many slices a column can have; the data plane makes as many (`crates/dataplane/src/slices.rs`)."""
    if feature.type is FeatureType.BOOLEAN:
        return 3  # true, false, missing
    known = MOST_SLICE_VALUES if feature.categories is None else min(len(feature.categories), MOST_SLICE_VALUES)
    return known + 2


@dataclass(frozen=True, slots=True)
class Levels:
    """Of one guardrail."""

    harm: float
    safe: float


@dataclass(frozen=True, slots=True)
class Sliced:
    """What all slices together show, and each."""

    shown: Shown
    slices: list[SliceAssessment]
    possible: int


@dataclass(slots=True)
class _Slice:
    one: SliceEvidence
    rows: list[Row] = field(default_factory=list)
    units: int = 0


def by_slice(guardrail: Guardrail, state: RolloutState, compared: Sequence[Compared], levels: Levels) -> Sliced:
    """Return the evidence of a guardrail with `by`."""
    found = _gathered(guardrail, state, compared)
    shown = [by_epoch(one.rows, guardrail) for one in found]
    possible = max(sum(state.slice_sizes.get(column, OPEN_SIZE) for column in guardrail.columns), len(found))
    harm = [0.0 if one.harm is None else one.harm for one in shown]
    named = discoveries(harm, levels.harm, possible).tolist() if harm else []
    slices = [
        _assessed(guardrail, (one, its), harmful=harmed, levels=levels)
        for one, its, harmed in zip(found, shown, named, strict=True)
    ]
    large = [one.safe_log_e for one in slices if not one.small and one.safe_log_e is not None]
    together = Shown(
        strongest(harm, possible) if harm else 0.0,
        min(large) if large else 0.0,
        sum(one.champion for one in slices),
        sum(one.challenger for one in slices),
    )
    return Sliced(together, sorted(slices, key=lambda one: -one.harm_log_e), possible)


def _gathered(guardrail: Guardrail, state: RolloutState, compared: Sequence[Compared]) -> list[_Slice]:
    """Return the counts of each slice over the epochs in which units were divided."""
    found: dict[SliceKey, _Slice] = {}
    for epoch in compared:
        for one in epoch.counted.slices:
            if one.column not in guardrail.columns:
                continue
            own = found.setdefault(slice_key(one.column, one.value, other=one.other), _Slice(one))
            mine, theirs = (outcomes(guardrail, arm, state.labels) for arm in (one.challenger, one.champion))
            own.rows.append((epoch.share, _units(epoch, mine), _units(epoch, theirs)))
            own.units += _units(epoch, one.challenger.units + one.champion.units)
    return [found[key] for key in sorted(found, key=lambda key: tuple(map(str, key)))]


def _units(epoch: Compared, count: int) -> int:
    """As `Compared.units`, to the nearest: where there are few, 5 and 1 must not become 4 and none."""
    return round(count / epoch.counted.duplication)


def _assessed(guardrail: Guardrail, counted: tuple[_Slice, Shown], *, harmful: bool, levels: Levels) -> SliceAssessment:
    own, shown = counted
    safe = shown.safe if guardrail.can_be_proven else None
    return SliceAssessment(
        column=own.one.column,
        value=own.one.value,
        other=own.one.other,
        units=own.units,
        champion=shown.champion,
        challenger=shown.challenger,
        ratio=shown.ratio,
        harm_log_e=shown.harm or 0.0,
        safe_log_e=safe,
        harmful=harmful,
        safe=safe is not None and safe >= -log(levels.safe),
        small=own.units < guardrail.min_slice_units,
    )
