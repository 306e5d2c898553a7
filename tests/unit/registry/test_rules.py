"""Who may move what: every role against every wish."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import ControlError
from fairlead.registry.rules import SINGLE, Actor, label, needed, plan
from fairlead.schema.control import KeyRole
from fairlead.schema.registry import BundleRecord, RegistryRole, RoleHolder

CHAMPION, CHALLENGER, SHADOW, ARCHIVED = RegistryRole
A, B, C, NEW = (letter * 64 for letter in "abcd")


def holder(sha256: str, role: RegistryRole) -> RoleHolder:
    return RoleHolder(endpoint="fraud", role=role, sha256=sha256, version=sha256[0], since_us=0)


FULL = [holder(A, CHAMPION), holder(B, CHALLENGER), holder(C, SHADOW)]


def steps(holders: list[RoleHolder], sha256: str, role: RegistryRole) -> list[tuple[str, object, RegistryRole]]:
    return [(step.sha256[0], step.from_role, step.to_role) for step in plan(holders, sha256, role)]


@pytest.mark.parametrize(
    ("holders", "sha256", "role", "wanted"),
    [
        ([], NEW, CHAMPION, [("d", None, CHAMPION)]),
        (FULL, NEW, CHAMPION, [("a", CHAMPION, ARCHIVED), ("d", None, CHAMPION)]),
        (FULL, B, CHAMPION, [("a", CHAMPION, ARCHIVED), ("b", CHALLENGER, CHAMPION)]),
        (FULL, NEW, CHALLENGER, [("b", CHALLENGER, ARCHIVED), ("d", None, CHALLENGER)]),
        (FULL, C, CHALLENGER, [("b", CHALLENGER, ARCHIVED), ("c", SHADOW, CHALLENGER)]),
        (FULL, NEW, SHADOW, [("d", None, SHADOW)]),
        (FULL, B, SHADOW, [("b", CHALLENGER, SHADOW)]),
        (FULL, B, ARCHIVED, [("b", CHALLENGER, ARCHIVED)]),
        (FULL, A, CHAMPION, []),
        (FULL, C, SHADOW, []),
    ],
)
def test_the_steps_of_a_move(
    holders: list[RoleHolder], sha256: str, role: RegistryRole, wanted: list[tuple[str, object, RegistryRole]]
) -> None:
    assert steps(holders, sha256, role) == wanted


@pytest.mark.parametrize(
    ("holders", "sha256", "role"),
    [
        (FULL, A, CHALLENGER),
        (FULL, A, SHADOW),
        (FULL, A, ARCHIVED),
        (FULL, NEW, ARCHIVED),
        ([], NEW, CHALLENGER),
        ([], NEW, SHADOW),
    ],
)
def test_moves_that_are_refused(holders: list[RoleHolder], sha256: str, role: RegistryRole) -> None:
    with pytest.raises(ControlError) as caught:
        plan(holders, sha256, role)
    assert caught.value.code == "move_refused"
    assert caught.value.hint


@given(st.lists(st.tuples(st.sampled_from([A, B, C, NEW]), st.sampled_from(RegistryRole)), max_size=12))
def test_whatever_is_wished_there_is_one_champion_and_at_most_one_challenger(
    wishes: list[tuple[str, RegistryRole]],
) -> None:
    now: dict[str, RegistryRole] = {}
    led = False
    for sha256, role in wishes:
        try:
            found = plan([holder(one, has) for one, has in now.items()], sha256, role)
        except ControlError:
            continue
        for step in found:
            assert now.get(step.sha256) is step.from_role
            now[step.sha256] = step.to_role
        counts = [list(now.values()).count(single) for single in SINGLE]
        led = led or counts[0] == 1
        assert counts[0] == int(led)
        assert counts[1] <= 1


@pytest.mark.parametrize(("role", "wish"), list(itertools.product(KeyRole, RegistryRole)))
def test_only_an_approver_makes_champions(role: KeyRole, wish: RegistryRole) -> None:
    least = KeyRole.APPROVER if wish is CHAMPION else KeyRole.OPERATOR
    actor = Actor("me", role)
    if role.covers(least):
        actor.must_be(needed(wish), "do it")
    else:
        with pytest.raises(ControlError, match=least.value):
            actor.must_be(needed(wish), "do it")


def record(name: str, version: int) -> BundleRecord:
    return BundleRecord(
        sha256=NEW,
        name=name,
        version=version,
        engine="onnx",
        requires_trust=False,
        size=1,
        location="x",
        pushed_us=0,
        pushed_by="me",
    )


def test_what_an_endpoint_calls_a_bundle() -> None:
    assert label("fraud", record("fraud", 3), []) == "3"
    assert label("fraud", record("risk", 3), []) == "risk-3"
    assert len(label("fraud", record("r" * 100, 3), [])) < 100
    assert label("fraud", record("fraud", 3), [holder(NEW, ARCHIVED)]) == "d"
