"""From units and their outcomes to what a guardrail is decided by (`schema.outcome_evidence`).

A cohort is the units that one allocation exposed within a short while. It is compared as soon as it is complete, and
never with another: in a ramp the challenger's units are younger, and outcomes depend on age. Within a cohort outcomes
count in the order in which they arrived *here*, whatever time they bear: evidence may only rest on what was known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fairlead.rollout.evidence.labels import Exposures, by_cohort, risk_sets
from fairlead.rollout.evidence.means import Effects
from fairlead.rollout.exposure import Exposed, Ids, Ints
from fairlead.schema.guardrail import Guardrail
from fairlead.schema.outcome_evidence import (
    FARTHEST_STEP,
    MOST_MEANS,
    ODDS_STEP,
    OutcomeArm,
    OutcomeCounts,
    OutcomeEvents,
    OutcomeSums,
)
from fairlead.schema.outcome_metrics import Costs, LabelMethod, LabelTiming, OutcomeMetric
from fairlead.schema.outcomes import OutcomeRecord, label_place
from fairlead.schema.rollout_state import RolloutState
from fairlead.schema.signature import Scalar

GRACE_US = 10_000_000
"""How late a row may reach its file."""
SETTLING_US = 60_000_000
"""How long after a change of shares replicas may still act on those before; means leave this time out."""
COST_SPREAD, COST_UNITS = 0.05, 10_000.0
"""Where evidence on a mean is tightest: the variance by the square of the range, and units. Validity does not ask."""
NO_LABEL = -1
_AFTER_ALL = 2.0**60
"""Later than every number of an outcome."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Told:
    """Outcomes, every revision, in the order of arrival; arrays of one length."""

    ids: Ids = field(default_factory=lambda: np.zeros((0, 2), dtype=np.uint64))
    label: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Index in the state's labels; -1: none of them."""
    number: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    reported_us: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    received_us: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    sources: NDArray[np.object_] = field(default_factory=lambda: np.zeros(0, dtype=np.object_))

    def __len__(self) -> int:
        return len(self.number)

    def added(self, records: Iterable[OutcomeRecord], labels: list[Scalar]) -> Told:
        """Return these and `records`, which came after them."""
        more = list(records)
        if not more:
            return self
        places = [label_place(one.label, labels) for one in more]
        return Told(
            np.concatenate([self.ids, ids_of(bytes.fromhex(one.prediction_id.replace("-", "")) for one in more)]),
            np.concatenate([self.label, _integers([NO_LABEL if one is None else one for one in places])]),
            np.concatenate([self.number, _integers([one.id for one in more])]),
            np.concatenate([self.reported_us, _integers([one.reported_us for one in more])]),
            np.concatenate([self.received_us, _integers([one.received_us for one in more])]),
            np.concatenate([self.sources, np.array([one.source for one in more], dtype=np.object_)]),
        )

    def without(self, gone: Flags) -> Told:
        """Return these but for those that are `gone`."""
        kept = ~gone
        return Told(
            self.ids[kept],
            self.label[kept],
            self.number[kept],
            self.reported_us[kept],
            self.received_us[kept],
            self.sources[kept],
        )

    def units(self, exposed: Exposed) -> Ints:
        """Return the index of the unit that each outcome is of; -1: of none that is compared."""
        if not len(exposed) or not len(self):
            return np.full(len(self), -1, dtype=np.int64)
        # The last eight bytes of a UUIDv7 are as good as unique; the first eight confirm.
        order = np.argsort(exposed.ids[:, 1], kind="stable")
        at = order[np.minimum(np.searchsorted(exposed.ids[order, 1], self.ids[:, 1]), len(exposed) - 1)]
        same = (exposed.ids[at] == self.ids).all(axis=1)
        return np.where(same, at, -1).astype(np.int64)


def ids_of(ids: Iterable[bytes]) -> Ids:
    """Return prediction ids, 16 bytes each, as numbers."""
    return np.frombuffer(b"".join(ids), dtype=">u8").astype(np.uint64).reshape(-1, 2)


def counts_of(guardrail: Guardrail, state: RolloutState, joined: tuple[Exposed, Told, Ints], now: int) -> OutcomeCounts:
    """Return what the guardrail is decided by at `now`; `joined`: units, outcomes, and `Told.units` of the two."""
    exposed, told, unit = joined
    timing = guardrail.labels
    assert timing is not None
    cohort, closed_us = _cohorts(state, exposed, timing.cohort_seconds)
    label, number = _labels(timing, exposed, told, unit)
    if timing.absent is not None and timing.mature_after is not None:
        silent = (label == NO_LABEL) & (closed_us + round(timing.mature_after * 1e6) + GRACE_US <= now)
        label = np.where(silent, _place(timing.absent, state), label)
        number = np.where(silent, _AFTER_ALL, number)
    mature = timing.method is LabelMethod.MATURE or guardrail.costs is not None
    window = round((timing.mature_after or 0.0) * 1e6) if mature else 0
    positive = _place(positive_of(guardrail, state), state)
    compared = (closed_us + window + GRACE_US <= now) & (exposed.decision >= 0)
    if guardrail.outcome_metric.among_positives:
        compared &= exposed.decision == positive
    found = _Compared(
        exposed.challenger[compared],
        cohort[compared],
        label[compared],
        number[compared],
        exposed.decision[compared],
    )
    bad = (found.label != NO_LABEL) & _bad(guardrail.outcome_metric, found.decision, found.label, positive)
    arms = {name: _arm(found, bad, mine) for name, mine in (("champion", False), ("challenger", True))}
    if guardrail.costs is not None:
        means = _means(state, exposed, compared, (label, positive, guardrail.costs))
        return OutcomeCounts(name=guardrail.name, means=means, **arms)
    events = _closed(found, bad) if mature else _arriving(found, bad)
    return OutcomeCounts(name=guardrail.name, events=events, **arms)


def positive_of(guardrail: Guardrail, state: RolloutState) -> Scalar | None:
    """Return the positive label: as declared, else the second of two; None where there is none."""
    if guardrail.positive is not None:
        return guardrail.positive
    return state.labels[1] if len(state.labels) == 2 else None


@dataclass(frozen=True, slots=True)
class _Compared:
    challenger: Flags
    cohort: Ints
    label: Ints
    number: NDArray[np.float64]
    decision: Ints


def _cohorts(state: RolloutState, exposed: Exposed, width: float) -> tuple[Ints, Ints]:
    """Return each unit's cohort, and when that is complete."""
    since = _integers([one.since_us for one in state.allocations])
    until = np.append(since[1:], np.iinfo(np.int64).max // 2)
    start = since[exposed.allocation]
    size = max(1, round(width * 1e6))
    bucket = (exposed.at_us - start) // size
    closed = np.minimum(start + (bucket + 1) * size, until[exposed.allocation])
    # One number for each pair of allocation and bucket.
    return np.asarray(exposed.allocation * (int(bucket.max(initial=0)) + 1) + bucket, dtype=np.int64), closed


def _labels(timing: LabelTiming, exposed: Exposed, told: Told, unit: Ints) -> tuple[Ints, NDArray[np.float64]]:
    """Return each unit's label, as last told within its window, and the number of the outcome that told it."""
    label = np.full(len(exposed), NO_LABEL, dtype=np.int64)
    number = np.full(len(exposed), np.inf)
    counts = (unit >= 0) & (told.label >= 0)
    if timing.source is not None:
        counts &= np.asarray(told.sources == timing.source, dtype=np.bool_)
    if timing.mature_after is not None and len(exposed):
        counts &= told.reported_us <= exposed.at_us[unit] + round(timing.mature_after * 1e6)
    # In the order of arrival: of several, the last is kept.
    label[unit[counts]] = told.label[counts]
    number[unit[counts]] = told.number[counts]
    return label, number


def _bad(metric: OutcomeMetric, decision: Ints, label: Ints, positive: int) -> Flags:
    decided, was = decision == positive, label == positive
    if metric is OutcomeMetric.FALSE_NEGATIVES:
        return np.asarray(~decided & was)
    if metric in (OutcomeMetric.FALSE_POSITIVES, OutcomeMetric.FALSE_DISCOVERY):
        return np.asarray(decided & ~was)
    return np.asarray(decision != label)


def _arm(found: _Compared, bad: Flags, mine: bool) -> OutcomeArm:
    arm = found.challenger == mine
    labelled = arm & (found.label != NO_LABEL)
    return OutcomeArm(units=int(arm.sum()), labelled=int(labelled.sum()), bad=int((arm & bad).sum()))


def _arriving(found: _Compared, bad: Flags) -> list[OutcomeEvents]:
    """Each bad outcome among those of its cohort of which none was known before.

    A good outcome takes nobody out: a model that decides otherwise also changes how soon good outcomes are known.
    """
    event_at = np.where(bad, found.number, np.inf)
    sets = risk_sets(Exposures(found.challenger, found.cohort, event_at, np.full(len(bad), np.inf)))
    ones = np.ones(len(sets.challenger), dtype=np.int64)
    return _events(sets.at_risk_challenger, sets.at_risk_champion, ones, sets.challenger.astype(np.int64))


def _closed(found: _Compared, bad: Flags) -> list[OutcomeEvents]:
    """The bad outcomes of each cohort, within all of its units."""
    counted = by_cohort(found.challenger, found.cohort, bad)
    events = counted.bad_challenger + counted.bad_champion
    return _events(counted.challenger, counted.champion, events, counted.bad_challenger)


def _events(challenger: Ints, champion: Ints, events: Ints, mine: Ints) -> list[OutcomeEvents]:
    """Add up events by the step of the challenger's odds; where one arm is empty they tell nothing."""
    both = (challenger > 0) & (champion > 0) & (events > 0)
    steps = np.floor(np.log(challenger[both] / champion[both]) / ODDS_STEP).astype(np.int64)
    inside = np.abs(steps) <= FARTHEST_STEP
    found, place = np.unique(steps[inside], return_inverse=True)
    total = np.bincount(place, weights=events[both][inside], minlength=len(found))
    own = np.bincount(place, weights=mine[both][inside], minlength=len(found))
    rows = zip(found.tolist(), total.tolist(), own.tolist(), strict=True)
    return [OutcomeEvents(step=step, events=int(all_), challenger=int(part)) for step, all_, part in rows]


def _means(state: RolloutState, exposed: Exposed, compared: Flags, told: tuple[Ints, int, Costs]) -> list[OutcomeSums]:
    """Sums of each allocation, over its units with a label in the order of exposure."""
    label, positive, costs = told
    found = []
    for index, allocation in enumerate(state.allocations):
        settled = exposed.at_us >= allocation.since_us + (SETTLING_US if index else 0)
        chosen = np.flatnonzero(compared & settled & (exposed.allocation == index) & (label != NO_LABEL))
        if not len(chosen):
            continue
        chosen = chosen[np.argsort(exposed.at_us[chosen], kind="stable")]
        decided, was = exposed.decision[chosen] == positive, label[chosen] == positive
        table = np.array([[costs.true_negative, costs.false_negative], [costs.false_positive, costs.true_positive]])
        outcomes = table[decided.astype(np.int64), was.astype(np.int64)]
        s, v = effects_of(allocation.share, costs).sums(outcomes, exposed.challenger[chosen].astype(np.float64))
        sums = OutcomeSums(share=allocation.share, units=len(chosen), sum=float(s[-1]), variance=float(v[-1]))
        found.append(sums)
    return found[:MOST_MEANS]


def effects_of(share: float, costs: Costs) -> Effects:
    """Return how costs are weighed where the challenger has this share."""
    spread = COST_SPREAD * (costs.high - costs.low) ** 2
    return Effects(share, costs.low, costs.high, spread, COST_UNITS)


def _place(label: Scalar | None, state: RolloutState) -> int:
    found = None if label is None else label_place(label, state.labels)
    return -2 if found is None else found


def _integers(values: Iterable[int]) -> Ints:
    return np.array(list(values), dtype=np.int64)
