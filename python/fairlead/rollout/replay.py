"""Decide again what was decided, from its record alone."""

from __future__ import annotations

from fairlead.rollout.engine import decide
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import RolloutDecision, RolloutState


def replay(rollout: Rollout, before: RolloutState, recorded: RolloutDecision) -> RolloutDecision:
    """Return what this version decides on the record's counts; equal to the record where nothing has changed."""
    assert recorded.evidence is not None, "a person's decision has no counts to be replayed"
    return decide(rollout, before, recorded.evidence, recorded.at_us)[1]
