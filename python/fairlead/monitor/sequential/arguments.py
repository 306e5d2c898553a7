"""What this package asks of its arguments: an error names the argument, what was expected and what came."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlead.errors import BadInputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def require(ok: bool, argument: str, expected: str, got: object) -> None:
    """Raise `BadInputError` unless `ok`."""
    if not ok:
        raise BadInputError(f"{argument}: expected {expected}, got {got}")


def counts(argument: str, values: ArrayLike) -> Integers:
    """`values` as whole numbers from 0."""
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInputError(f"{argument}: expected whole numbers from 0, got {values!r}") from None
    wrong = ~(np.isfinite(found) & (found >= 0) & (found == np.floor(found)) & (found < 2.0**53))
    require(not wrong.any(), argument, "whole numbers from 0", found[wrong].flat[0] if wrong.any() else None)
    return found.astype(np.int64)
