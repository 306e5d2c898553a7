"""Laws of the engine, over plans, counts and times at random."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fairlead.rollout.engine import decide
from fairlead.schema.registry import Verdict
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import Action, Evidence, Phase, RolloutState
from tests.serverkit.rollouts import PROVEN, alike, arm, at, begun, counted, evidence, rollout

STEPS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from([{"setWeight": weight} for weight in (0, 1, 5, 50, 99, 100)]),
    st.sampled_from([{"pause": {"duration": "10s"}}, {"pause": {}}, {"approve": {}}, PROVEN]),
    st.sampled_from([{"shadow": {"percent": 100}}, {"setRegions": ["eu"]}, {"setRegions": "*"}]),
    st.sampled_from([{"setCohort": {"maxUnits": 100}}, {"analysis": {"until": {"minUnits": 10}, "timeout": "20s"}}]),
    st.sampled_from(
        [{"analysis": {"until": {"proven": ["errors"]}, "timeout": "20s", "onTimeout": what}} for what in ("promote",)]
    ),
)
PLANS = st.lists(STEPS, min_size=1, max_size=6).map(lambda steps: rollout(*steps))
SHARES = st.floats(0, 1)


@st.composite
def looks(draw: st.DrawFn) -> tuple[float, int, float, dict[str, Any]]:
    """Seconds that pass, units, the ratio of rates, and how complete the reports are."""
    expected = draw(st.integers(0, 3))
    complete = {"replicas_expected": expected, "replicas_reporting": draw(st.integers(0, expected))}
    return draw(st.floats(0, 60)), draw(st.integers(0, 50_000)), draw(st.sampled_from([0.5, 1.0, 1.3, 3.0])), complete


def seen(state: RolloutState, units: int, ratio: float, complete: dict[str, Any]) -> Evidence:
    if state.routing is None:
        return evidence(**complete)
    return alike(state, units, ratio=ratio).model_copy(update=complete)


@given(PLANS, st.lists(looks(), max_size=30))
def test_nothing_advances_or_promotes_on_missing_reports(document: Rollout, course: list[Any]) -> None:
    state, time = begun(document), 0.0
    for seconds, units, ratio, complete in course:
        time += seconds
        found = seen(state, units, ratio, complete)
        after, decision = decide(document, state, found, at(time))
        whole = 0 < found.replicas_expected <= found.replicas_reporting
        if not whole:
            assert decision.action not in (Action.ADVANCE, Action.PROMOTE)
            assert after.step == state.step
            assert decision.verdict is not Verdict.PASS or state.phase.ended
        state = after


@given(PLANS, st.lists(looks(), max_size=30))
def test_a_rollout_ends_once_and_in_one_way(document: Rollout, course: list[Any]) -> None:
    state, time = begun(document), 0.0
    states = [state]
    actions: list[Action] = []
    for seconds, units, ratio, complete in course:
        time += seconds
        state, decision = decide(document, state, seen(state, units, ratio, complete), at(time))
        states.append(state)
        actions.append(decision.action)
    ends = [action for action in actions if action in (Action.PROMOTE, Action.ROLLBACK)]
    assert len(ends) <= 1
    for before, after in pairwise(states):
        assert after.step >= before.step
        if before.phase.ended:
            assert after == before
        if before.routing is not None and after.routing is not None:
            assert 0 <= after.routing.epoch - before.routing.epoch <= 1
            assert after.routing.salt == before.routing.salt
    assert (state.routing is None) == state.phase.ended
    assert [one.epoch for one in state.allocations] == list(range(1, len(state.allocations) + 1))


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=20), st.sampled_from([1.0, 1.2, 2.5]), st.data())
def test_what_is_decided_depends_on_the_counts_and_not_on_how_often_one_looked(
    growth: list[int], ratio: float, data: st.DataObject
) -> None:
    """One who looks at every report and one who looks at some of them agree wherever both look and go on."""
    document = rollout({"setWeight": 50}, PROVEN)
    start, _ = decide(document, begun(document), alike(begun(document)), at(1))
    often, seldom, units = start, start, 0
    for second, more in enumerate(growth, start=2):
        units += more
        mine = arm(units, round(units * 0.02 * ratio))
        found = evidence(counted(2, arm(units, round(units * 0.02)), mine))
        before = often
        often, one = decide(document, often, found, at(second))
        if before.step == seldom.step and before.phase is seldom.phase and data.draw(st.booleans()):
            seldom, other = decide(document, seldom, found, at(second))
            assert (one.action, one.verdict, one.assessments) == (other.action, other.verdict, other.assessments)


@given(looks())
def test_deciding_again_on_the_same_changes_nothing_more(look: tuple[float, int, float, dict[str, Any]]) -> None:
    document = rollout({"setWeight": 50}, PROVEN)
    state, _ = decide(document, begun(document), alike(begun(document)), at(1))
    _, units, ratio, complete = look
    found = seen(state, units, ratio, complete)
    assert decide(document, state, found, at(2)) == decide(document, state, found, at(2))
    once, decision = decide(document, state, found, at(2))
    if decision.action in (Action.HOLD, Action.NONE) and once.phase is not Phase.HELD:
        assert once == state
