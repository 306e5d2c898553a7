"""The threshold at which a challenger acts as often as the champion: right within a bin, and only where asked for."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.errors import ControlError
from fairlead.rollout import commands
from fairlead.rollout.engine import decide
from fairlead.rollout.recalibration import equal_rate
from fairlead.rollout.replay import replay
from fairlead.schema.registry import Verdict
from fairlead.schema.rollout import Recalibrate, Rollout
from fairlead.schema.rollout_state import (
    Action,
    EpochEvidence,
    Evidence,
    Phase,
    Recalibration,
    RolloutDecision,
    RolloutState,
)
from fairlead.schema.signature import Scalar
from fairlead.schema.telemetry import LOGIT_BINS, LOGIT_LIMIT, logit_edge
from tests.serverkit.rollouts import START, at, begun, evidence, facts, rollout

LABELS: list[Scalar] = [False, True]
STEPS: list[dict[str, Any]] = [{"shadow": {"percent": 50}}, {"pause": {"duration": "10m"}}, {"setWeight": 5}]


def logistic(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-odds))


def pairs(champion: NDArray[np.bool_], scores: NDArray[np.float64], own: float = 0.5, epoch: int = 1) -> EpochEvidence:
    """What telemetry counts of these decisions of a champion and these scores of a challenger."""
    odds = np.log(scores / (1 - scores))
    bins = ((odds + LOGIT_LIMIT) * LOGIT_BINS / (2 * LOGIT_LIMIT)).clip(0, LOGIT_BINS - 1).astype(int)
    flips = Counter(zip(champion.tolist(), (scores >= own).tolist(), strict=True))
    return EpochEvidence(
        epoch=epoch,
        pairs=len(scores),
        flips=[(given, other, count) for (given, other), count in sorted(flips.items())],
        shadow_scores=sorted(Counter(bins.tolist()).items()),
    )


def found(*epochs: EpochEvidence, least: int = 100) -> Recalibration:
    result = equal_rate(Evidence(epochs=list(epochs)), LABELS, least)
    assert isinstance(result, Recalibration), result
    return result


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.01, 0.001])
@pytest.mark.parametrize("shift", [-3.0, 1.5])
def test_a_shifted_score_is_mapped_back_within_a_bin(rate: float, shift: float) -> None:
    random = np.random.default_rng(7)
    odds = random.normal(-2.0, 2.0, 200_000)
    edge = float(np.quantile(odds, 1 - rate))
    result = found(pairs(odds >= edge, logistic(odds + shift)))
    width = 2 * LOGIT_LIMIT / LOGIT_BINS
    assert math.log(result.threshold / (1 - result.threshold)) == pytest.approx(edge + shift, abs=width)
    # Half a bin's share at most is missed; the density at the edge of a normal tail is below 3 times its mass.
    assert result.challenger_rate == pytest.approx(rate, rel=3 * width)
    assert float(np.mean(logistic(odds + shift) >= result.threshold)) == pytest.approx(result.challenger_rate)
    assert result.pairs == 200_000
    assert result.champion_rate == pytest.approx(rate, rel=1e-3)
    assert result.uncorrected_rate == pytest.approx(float(np.mean(odds + shift >= 0)))


@given(
    scores=st.lists(st.floats(1e-6, 1 - 1e-6), min_size=2, max_size=60),
    acted=st.lists(st.booleans(), min_size=60, max_size=60),
    parts=st.integers(1, 3),
)
def test_no_edge_comes_nearer_and_epochs_add_up(scores: list[float], acted: list[bool], parts: int) -> None:
    values, given_ = np.array(scores), np.array(acted[: len(scores)])
    if given_.all() or not given_.any():
        return
    whole = found(pairs(given_, values), least=1)
    cut = [pairs(given_[n::parts], values[n::parts], epoch=n) for n in range(parts)]
    assert found(*cut, least=1) == whole
    assert whole.challenger_rate == pytest.approx(float(np.mean(values >= whole.threshold * (1 - 1e-12))))
    best = min(abs(float(np.mean(values >= logit_edge(k))) - whole.champion_rate) for k in range(1, LOGIT_BINS))
    assert abs(whole.challenger_rate - whole.champion_rate) <= best + 1e-9


def test_between_two_scores_the_middle_is_taken() -> None:
    result = found(pairs(np.array([True] * 50 + [False] * 50), np.array([0.9] * 50 + [0.1] * 50)))
    assert result.challenger_rate == 0.5
    assert result.threshold == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("acted", "least", "why"),
    [([True, False], 3, "minPairs"), ([True, True], 2, "all pairs alike"), ([False, False], 2, "all pairs alike")],
)
def test_what_cannot_be_met_is_said(acted: list[bool], least: int, why: str) -> None:
    result = equal_rate(Evidence(epochs=[pairs(np.array(acted), np.array([0.2, 0.8]))]), LABELS, least)
    assert isinstance(result, str)
    assert why in result


def test_labels_that_are_equal_but_not_alike_are_told_apart() -> None:
    epoch = pairs(np.array([True, False]), np.array([0.2, 0.8]))
    assert isinstance(equal_rate(Evidence(epochs=[epoch]), [0, 1], 1), str)


def asked(*steps: dict[str, Any], least: int = 100, **spec: Any) -> Rollout:
    return rollout(*(steps or STEPS), recalibrate={"from": "shadow", "minPairs": least}, guardrails=[], **spec)


def seen(state: RolloutState, number: int = 1_000) -> Evidence:
    assert state.routing is not None
    odds = np.random.default_rng(1).normal(size=number)
    return evidence(pairs(odds >= 1.0, logistic(odds - 2.0), epoch=state.routing.epoch))


def shadowed(document: Rollout) -> RolloutState:
    """The state in its pause, with the shadow's step behind it."""
    state = begun(document, binary=True)
    return decide(document, state, seen(state), at(1))[0]


def test_units_are_the_challengers_only_with_its_threshold() -> None:
    document = asked()
    state = shadowed(document)
    assert (state.step, state.recalibration) == (1, None)
    few = seen(state, number=50)
    held, decision = decide(document, state, few, at(700))
    assert held == state
    assert (decision.action, decision.verdict) == (Action.HOLD, Verdict.INCONCLUSIVE)
    assert "minPairs" in decision.reason
    after, decision = decide(document, state, seen(state), at(700))
    assert (decision.action, after.step) == (Action.ADVANCE, 2)
    assert after.routing is not None
    assert after.routing.share == 0.05
    assert after.recalibration is not None
    assert f"{after.recalibration.threshold:.6g}" in decision.reason
    assert after.recalibration.challenger_rate == pytest.approx(after.recalibration.champion_rate, abs=0.01)
    # Later pairs change nothing.
    assert decide(document, after, seen(state, number=5_000), at(800))[0].recalibration == after.recalibration


def test_a_promotion_without_units_is_a_cut_over_too() -> None:
    document = asked({"shadow": {"percent": 100}})
    state = begun(document, binary=True)
    state = decide(document, state, seen(state, number=50), at(1))[0]
    held, _ = decide(document, state, seen(state, number=50), at(2))
    assert held.phase is Phase.PROGRESSING
    after, decision = decide(document, state, seen(state), at(2))
    assert (decision.action, after.phase) == (Action.PROMOTE, Phase.PROMOTED)
    assert after.recalibration is not None


def test_without_being_asked_for_nothing_changes() -> None:
    document = rollout(*STEPS, guardrails=[])
    state = shadowed(document)
    after, decision = decide(document, state, seen(state), at(700))
    assert (after.recalibration, decision.action) == (None, Action.ADVANCE)


def test_the_decision_can_be_made_again() -> None:
    document = asked()
    state = shadowed(document)
    _, decision = decide(document, state, seen(state), at(700))
    recorded = RolloutDecision.model_validate_json(decision.model_dump_json())
    assert replay(document, RolloutState.model_validate_json(state.model_dump_json()), recorded) == decision


def test_a_challenger_that_has_no_threshold_is_refused() -> None:
    with pytest.raises(ControlError, match="recalibrate: the challenger makes no binary decision"):
        commands.begin(asked(), facts(binary=False), START)


@pytest.mark.parametrize(
    "steps",
    [[{"setWeight": 5}, {"shadow": {"percent": 5}}], [{"shadow": {"percent": 0}}], [{"setCohort": {"maxUnits": 5}}]],
)
def test_units_before_a_shadow_are_refused_with_the_document(steps: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="recalibrate: needs a step `shadow` before"):
        asked(*steps)


def test_the_document_reads_as_it_is_written() -> None:
    document = asked(least=7)
    assert document.spec.recalibrate == Recalibrate(min_pairs=7)
    assert document.model_dump(mode="json")["spec"]["recalibrate"] == {"from": "shadow", "minPairs": 7}
