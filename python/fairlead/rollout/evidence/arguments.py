"""What every statistic asks of its arguments: an error names the argument, what was expected and what came."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlead.errors import BadInputError

Floats = NDArray[np.float64]


def require(ok: bool, argument: str, expected: str, got: object) -> None:
    """Raise `BadInputError` unless `ok`."""
    if not ok:
        raise BadInputError(f"{argument}: expected {expected}, got {got}")


def probability(argument: str, value: float) -> float:
    """`value`, strictly between 0 and 1."""
    require(0.0 < value < 1.0, argument, "a number strictly between 0 and 1", value)
    return value


def positive(argument: str, value: float) -> float:
    """`value`, finite and above 0."""
    require(0.0 < value < np.inf, argument, "a finite number above 0", value)
    return value


def numbers(argument: str, values: ArrayLike) -> Floats:
    """`values` as an array of finite floats."""
    found = _floats(argument, values)
    ok = np.isfinite(found)
    require(bool(ok.all()), argument, "finite numbers", _first(found, ~ok))
    return found


def counts(argument: str, values: ArrayLike) -> Floats:
    """`values` as an array of floats that are whole and not negative: sums of counts may exceed no integer type."""
    found = _floats(argument, values)
    ok = np.isfinite(found) & (found >= 0) & (found == np.floor(found))
    require(bool(ok.all()), argument, "whole numbers from 0", _first(found, ~ok))
    return found


def shares(argument: str, values: ArrayLike) -> Floats:
    """`values` as an array of floats strictly between 0 and 1."""
    found = _floats(argument, values)
    ok = (found > 0) & (found < 1)
    require(bool(ok.all()), argument, "shares strictly between 0 and 1", _first(found, ~ok))
    return found


def _floats(argument: str, values: ArrayLike) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInputError(f"{argument}: expected numbers, got {values!r}") from None


def _first(values: Floats, wrong: NDArray[np.bool_]) -> Any:
    return values[wrong].flat[0] if wrong.any() else None
