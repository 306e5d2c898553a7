"""Whose first prediction is evidence: from rows of the prediction log to units, each once, in the arm of its hash.

A row counts where units were divided at its time, and where the version that answered is the one that the unit's hash
asks for: what a tester has asked for by name is none, nor what a replica answered that had not heard of a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fairlead.rollout.assignment import limit, place
from fairlead.schema.outcomes import label_text
from fairlead.schema.rollout_state import RolloutState

MOST_UNITS = 4 << 20
"""Later newcomers are not counted any more, in either arm, as in the data plane: evidence stops growing, and stays
valid.
"""
Ids = NDArray[np.uint64]
"""Prediction ids, of shape (n, 2): the first and the last eight bytes as big-endian numbers."""
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the prediction log of one endpoint, in any order."""

    ids: Ids
    time_us: Ints
    versions: Sequence[str | None]
    units: Sequence[str | None]
    decisions: Sequence[str | None]
    region: str | None = None
    """Of the replica that wrote them."""

    def __len__(self) -> int:
        return len(self.time_us)


def _ids() -> Ids:
    return np.zeros((0, 2), dtype=np.uint64)


def _ints() -> Ints:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Exposed:
    """Units by their first prediction that counts; arrays of one length, in the order in which they were admitted."""

    ids: Ids = field(default_factory=_ids)
    challenger: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    allocation: Ints = field(default_factory=_ints)
    """Index in the state's allocations."""
    at_us: Ints = field(default_factory=_ints)
    decision: Ints = field(default_factory=_ints)
    """Index in the state's labels; -1: none of them."""
    seen: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    """The units' places, sorted."""

    def __len__(self) -> int:
        return len(self.at_us)

    def admitted(self, state: RolloutState, rows: Rows) -> Self:
        """Return these units and those that `rows` show for the first time, by the time of the rows."""
        at = np.flatnonzero(_divided(state, rows))
        if not len(at):
            return self
        at = at[np.argsort(rows.time_us[at], kind="stable")]
        numbers: list[int] = at.tolist()
        allocation = _allocation(state, rows.time_us[at])
        assert state.routing is not None
        places = _places([str(rows.units[i]) for i in numbers], state.routing.salt)
        limits = np.array([limit(one.share) if one.share < 1 else 0 for one in state.allocations], dtype=np.uint64)
        challenger = np.array([rows.versions[i] == state.challenger.version for i in numbers], dtype=np.bool_)
        honest = (places < limits[allocation]) == challenger
        # np.unique gives the first of each, and rows are in the order of time.
        _, first = np.unique(places[honest], return_index=True)
        kept = np.flatnonzero(honest)[np.sort(first)]
        kept = kept[~_among(self.seen, places[kept])][: MOST_UNITS - len(self)]
        texts = {label_text(label): number for number, label in enumerate(state.labels)}
        decisions = [texts.get(rows.decisions[i] or "", -1) for i in at[kept].tolist()]
        return type(self)(
            ids=np.concatenate([self.ids, rows.ids[at[kept]]]),
            challenger=np.concatenate([self.challenger, challenger[kept]]),
            allocation=np.concatenate([self.allocation, allocation[kept]]),
            at_us=np.concatenate([self.at_us, rows.time_us[at[kept]]]),
            decision=np.concatenate([self.decision, np.array(decisions, dtype=np.int64)]),
            seen=np.sort(np.concatenate([self.seen, places[kept]]), kind="stable"),
        )


def _divided(state: RolloutState, rows: Rows) -> NDArray[np.bool_]:
    """Which rows are of a unit, of either contender, and of a time and place in which units were divided."""
    divided = [0 < one.share < 1 and (one.regions is None or rows.region in one.regions) for one in state.allocations]
    at = _allocation(state, rows.time_us)
    versions = {state.champion.version, state.challenger.version}
    known = [version in versions and bool(unit) for version, unit in zip(rows.versions, rows.units, strict=True)]
    return (at >= 0) & np.array([*divided, False], dtype=np.bool_)[at] & np.array(known, dtype=np.bool_)


def _allocation(state: RolloutState, time_us: Ints) -> Ints:
    """Return the index of the allocation in force at each time; -1 before the first."""
    since = np.array([one.since_us for one in state.allocations], dtype=np.int64)
    return np.asarray(np.searchsorted(since, time_us, side="right") - 1, dtype=np.int64)


def _places(units: Sequence[str], salt: str) -> Ids:
    known: dict[str, int] = {}
    for unit in units:
        if unit not in known:
            known[unit] = place(unit, salt)
    return np.array([known[unit] for unit in units], dtype=np.uint64)


def _among(ordered: Ids, wanted: Ids) -> NDArray[np.bool_]:
    if not len(ordered):
        return np.zeros(len(wanted), dtype=np.bool_)
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.asarray(ordered[at] == wanted, dtype=np.bool_)
