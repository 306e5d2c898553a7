"""An endpoint's settings are the snapshot's, without what others decide."""

from __future__ import annotations

import pytest

from fairlead.schema.control import KeyRole
from fairlead.schema.registry import EndpointSettings, RegistryRole
from fairlead.schema.snapshot import Endpoint, Role


@pytest.mark.parametrize("name", EndpointSettings.model_fields)
def test_a_setting_is_the_field_of_the_snapshot(name: str) -> None:
    ours, theirs = EndpointSettings.model_fields[name], Endpoint.model_fields[name]
    assert (ours.annotation, ours.default, ours.metadata) == (theirs.annotation, theirs.default, theirs.metadata)


def test_what_the_data_plane_serves_has_a_role_in_the_registry() -> None:
    assert {role.value for role in Role} < {role.value for role in RegistryRole}


def test_each_key_role_may_do_what_those_before_it_may() -> None:
    roles = [role for role in KeyRole if role is not KeyRole.REPLICA]
    assert [[one.covers(other) for other in roles] for one in roles] == [
        [a >= b for b in range(len(roles))] for a in range(len(roles))
    ]
    assert [role for role in KeyRole if role.covers(KeyRole.REPLICA) or KeyRole.REPLICA.covers(role)] == [
        KeyRole.REPLICA
    ]
