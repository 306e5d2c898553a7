"""Roles of keys."""

from __future__ import annotations

import pytest

from fairlead.schema.control import KeyRole

LADDER = [KeyRole.VIEWER, KeyRole.OPERATOR, KeyRole.APPROVER, KeyRole.ADMIN]


@pytest.mark.parametrize("role", LADDER)
def test_each_role_of_people_covers_those_before_it(role: KeyRole) -> None:
    assert [needed for needed in LADDER if role.covers(needed)] == LADDER[: LADDER.index(role) + 1]


def test_a_replica_stands_apart() -> None:
    assert [role for role in KeyRole if KeyRole.REPLICA.covers(role)] == [KeyRole.REPLICA]
    assert [role for role in KeyRole if role.covers(KeyRole.REPLICA)] == [KeyRole.REPLICA]
