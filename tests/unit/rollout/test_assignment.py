"""Whose a unit is."""

from __future__ import annotations

import json
from fractions import Fraction
from hashlib import blake2b
from math import floor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import BadInputError
from fairlead.rollout.assignment import control_from, is_challengers, is_controls, limit, place

VECTORS = json.loads((Path(__file__).parents[3] / "schema" / "vectors" / "assignment.json").read_text())
SHARES = st.floats(0, 1)


def test_the_vectors_that_both_planes_are_held_to() -> None:
    assert len(VECTORS["units"]) == 40
    for case in VECTORS["units"]:
        assert place(case["unit"], case["salt"]) == int(case["place"])
        found = [share for share in VECTORS["shares"] if is_challengers(case["unit"], case["salt"], share)]
        assert found == case["challenger_at"]
        controls = [share for share in VECTORS["shares"] if is_controls(case["unit"], case["salt"], share)]
        assert controls == case["control_at"]
    for case in VECTORS["limits"]:
        assert limit(case["share"]) == int(case["limit"])
        assert control_from(case["share"]) == int(case["control_from"])


def test_a_vector_by_hand() -> None:
    content = blake2b(b"card-1", digest_size=8, key=b"s").digest()
    assert place("card-1", "s") == sum(byte << (8 * index) for index, byte in enumerate(content))


@given(SHARES)
def test_the_limit_is_the_exact_floor(share: float) -> None:
    assert limit(share) == floor(Fraction(share) * 2**64)


@given(st.text(), SHARES, SHARES)
def test_whoever_has_the_challenger_keeps_it_as_the_share_grows(unit: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert is_challengers(unit, "salt", low) <= is_challengers(unit, "salt", high)
    assert is_challengers(unit, "salt", 1.0)
    assert not is_challengers(unit, "salt", 0.0)


@given(SHARES)
def test_the_control_is_as_large_as_the_challenger_and_beside_it(share: float) -> None:
    size = 2**64 - control_from(share)
    assert size == (limit(share) if share <= 0.5 else 2**64 - limit(share))
    assert control_from(share) >= limit(share)


@given(st.text(), st.floats(0, 0.5), st.floats(0, 0.5))
def test_whoever_is_the_control_stays_it_as_the_share_grows_to_a_half(unit: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert is_controls(unit, "salt", low) <= is_controls(unit, "salt", high)


def test_the_share_of_units_is_the_share_and_salts_are_independent() -> None:
    units = [f"unit-{number}" for number in range(20_000)]
    mine = {unit for unit in units if is_challengers(unit, "first", 0.25)}
    assert len(mine) / len(units) == pytest.approx(0.25, abs=0.01)
    again = {unit for unit in mine if is_challengers(unit, "second", 0.25)}
    assert len(again) / len(mine) == pytest.approx(0.25, abs=0.025)


@pytest.mark.parametrize("salt", ["", "x" * 65, "ü" * 33])
def test_what_is_no_salt_is_refused(salt: str) -> None:
    with pytest.raises(BadInputError):
        place("unit", salt)


@pytest.mark.parametrize("share", [1.5, -0.1])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(BadInputError):
        limit(share)
