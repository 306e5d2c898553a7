"""Whose a unit is: a function of the unit, the rollout's salt and the share; the data plane computes the same.

Monotone in the share: who has the challenger at 5 % has it at 25 % too, and so it is with the matched control up to a
half. `schema/vectors/assignment.json` holds both sides to it.
"""

from __future__ import annotations

from hashlib import blake2b

from fairlead.errors import BadInputError

_ALL = 2**64


def place(unit: str, salt: str) -> int:
    """Return the unit's place in [0, 2^64): BLAKE2b of it, 8 bytes, little-endian, keyed with the salt."""
    key = salt.encode()
    if not 1 <= len(key) <= blake2b.MAX_KEY_SIZE:
        raise BadInputError(f"salt: expected 1 to {blake2b.MAX_KEY_SIZE} bytes, got {len(key)}")
    return int.from_bytes(blake2b(unit.encode(), digest_size=8, key=key).digest(), "little")


def limit(share: float) -> int:
    """Return the places below which units are the challenger's: floor(share * 2^64)."""
    if not 0 <= share <= 1:
        raise BadInputError(f"share: expected from 0 to 1, got {share}")
    return int(share * _ALL)


def control_from(share: float) -> int:
    """Return the place from which on units are the matched control's: as many as the challenger's, at the other end.

    Above a half all of the champion's; 2^64, nobody's, at shares of 0 and 1.
    """
    bound = limit(share)
    return max(bound, _ALL - bound) if 0 < bound < _ALL else _ALL


def is_controls(unit: str, salt: str, share: float) -> bool:
    """Return whether the unit is the matched control's."""
    return place(unit, salt) >= control_from(share)


def is_challengers(unit: str, salt: str, share: float) -> bool:
    """Return whether the unit is the challenger's."""
    return place(unit, salt) < limit(share)
