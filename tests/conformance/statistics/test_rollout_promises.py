"""What a whole rollout promises, measured: the engine on a ramp, looked at after every report."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.rollout.engine import decide
from fairlead.schema.rollout_state import EpochEvidence, Evidence, Phase, RolloutState
from tests.serverkit.rollouts import ERRORS, arm, at, begun, counted, evidence, rollout

RUNS, LOOKS, UNITS = 120, 14, 3_000
RATE = 0.02


def run(seed: int, ratio: float) -> RolloutState:
    """A ramp of 10, 25, 50 % whose weight changes every few looks, then an analysis."""
    chance = np.random.default_rng(seed)
    wait = {"pause": {"duration": "3s"}}
    proven = {"analysis": {"until": {"proven": ["errors"]}}}
    weights = [{"setWeight": weight} for weight in (10, 25, 50)]
    steps = [step for weight in weights for step in (weight, wait)]
    violations = {"name": "violations", "kind": "violations"}
    document = rollout(*steps, proven, guardrails=[{**ERRORS, "margin": {"ratio": 1.25}}, violations])
    state, seen = begun(document), dict[int, EpochEvidence]()
    for second in range(1, LOOKS * 2):
        assert state.routing is not None
        epoch, share = state.routing.epoch, state.routing.share
        night = 0.5 + 1.5 * (second % 7 == 0)  # bad outcomes come and go, in both arms alike
        mine = int(chance.binomial(UNITS, share))
        bad = chance.binomial([UNITS - mine, mine], [RATE * night, RATE * night * ratio])
        broken = chance.binomial([UNITS - mine, mine], RATE)
        before = seen.get(epoch, counted(epoch, arm(0), arm(0)))
        champion = arm(
            before.champion.units + UNITS - mine,
            before.champion.errors + int(bad[0]),
            violations=before.champion.violations + int(broken[0]),
        )
        challenger = arm(
            before.challenger.units + mine,
            before.challenger.errors + int(bad[1]),
            violations=before.challenger.violations + int(broken[1]),
        )
        seen[epoch] = counted(epoch, champion, challenger)
        known: Evidence = evidence(*seen.values())
        state, _ = decide(document, state, known, at(second))
        if state.phase is not Phase.PROGRESSING:
            break
    return state


@pytest.mark.timeout(240)
def test_a_challenger_without_fault_is_rarely_rolled_back_and_never_void() -> None:
    phases = [run(seed, 1.0).phase for seed in range(RUNS)]
    # At a level of 5 %, more than 12 of 120 has a probability below 1 %.
    assert phases.count(Phase.ROLLED_BACK) <= 12
    assert phases.count(Phase.HELD) == 0


@pytest.mark.timeout(240)
def test_a_challenger_at_its_margin_is_rarely_promoted() -> None:
    phases = [run(seed, 1.25).phase for seed in range(RUNS)]
    assert phases.count(Phase.PROMOTED) <= 12


@pytest.mark.timeout(60)
def test_a_challenger_twice_as_bad_is_rolled_back() -> None:
    phases = [run(seed, 2.0).phase for seed in range(20)]
    assert phases.count(Phase.ROLLED_BACK) >= 19
