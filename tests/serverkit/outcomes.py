"""Units with outcomes that come late, as the join of a log with outcomes would give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.rollout.exposure import Exposed
from fairlead.rollout.outcomes import Told
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import Allocation, RolloutState
from tests.serverkit.rollouts import START, begun, rollout

HOUR = 3_600_000_000
POSITIVE = 1
"""Index of the positive label in `begun`'s [False, True]."""
LABELS: dict[str, Any] = {"delay": "10h"}
FALSE_POSITIVES: dict[str, Any] = {
    "name": "fp",
    "kind": "outcome",
    "metric": "false_positives",
    "margin": {"ratio": 1.5},
    "labels": LABELS,
}


def outcome_rollout(*steps: dict[str, Any], labels: dict[str, Any] | None = None, **guardrail: Any) -> Rollout:
    """A rollout with one guardrail on outcomes."""
    declared = {**FALSE_POSITIVES, **guardrail, "labels": {**LABELS, **(labels or {})}}
    return rollout(*(steps or ({"setWeight": 50}, {"pause": {}})), guardrails=[declared])


def ramped(document: Rollout, shares: Sequence[float], hours: float = 24) -> RolloutState:
    """The state of a rollout that has had these shares, each for so many hours."""
    state = begun(document)
    allocations = [
        Allocation(epoch=number + 2, share=share, since_us=START + round(number * hours * HOUR))
        for number, share in enumerate(shares)
    ]
    return state.model_copy(update={"allocations": [state.allocations[0], *allocations]})


@dataclass(frozen=True)
class World:
    """How units come, what is decided of them, and when it is known what they were."""

    units: int = 3_000
    """In each allocation."""
    hours: float = 24.0
    """Of each allocation."""
    shares: Sequence[float] = (0.5,)
    flagged: float = 0.3
    rate: float = 0.1
    """False positives of the champion, by unit."""
    ratio: float = 1.0
    """Of the challenger's, to that."""
    delay_hours: float = 10.0
    quicker: float = 1.0
    """The challenger's good outcomes take so many times as long."""
    labelled: float = 1.0
    """Share of units of which it ever becomes known what they were."""


def live(rng: np.random.Generator, world: World) -> tuple[Exposed, Told, NDArray[np.int64]]:
    """Units, outcomes in the order of arrival, and when each arrived."""
    size = world.units * len(world.shares)
    allocation = np.repeat(np.arange(1, len(world.shares) + 1), world.units)
    start = START + np.round((allocation - 1) * world.hours * HOUR).astype(np.int64)
    at_us = start + rng.integers(0, round(world.hours * HOUR), size)
    challenger = rng.random(size) < np.asarray(world.shares)[allocation - 1]
    rate = np.where(challenger, world.rate * world.ratio, world.rate)
    bad = rng.random(size) < rate
    flagged = bad | (rng.random(size) < world.flagged)
    ids = np.stack([np.arange(size), rng.permutation(size)], axis=1).astype(np.uint64)
    exposed = Exposed(ids, challenger, allocation.astype(np.int64), at_us, flagged.astype(np.int64), np.sort(ids[:, 1]))
    delay = rng.exponential(world.delay_hours * HOUR, size) * np.where(challenger & ~bad, world.quicker, 1.0)
    received = at_us + np.round(delay).astype(np.int64)
    known = np.flatnonzero(rng.random(size) < world.labelled)
    known = known[np.argsort(received[known], kind="stable")]
    label = np.where(flagged & ~bad, POSITIVE, 0)
    sources = np.full(len(known), "default", dtype=np.object_)
    number, at = np.arange(1, len(known) + 1), received[known]
    told = Told(ids[known], label[known], number, at, at, sources)
    return exposed, told, received[known]


def until(told: Told, received: NDArray[np.int64], now: int) -> Told:
    """The outcomes that had arrived by `now`."""
    count = int(np.searchsorted(received, now, side="right"))
    return told.without(np.arange(len(told)) >= count)


def seen_by(exposed: Exposed, now: int) -> Exposed:
    """The units that had been exposed by `now`."""
    kept = exposed.at_us <= now
    names = ("ids", "challenger", "allocation", "at_us", "decision")
    return replace(exposed, **{name: getattr(exposed, name)[kept] for name in names})
