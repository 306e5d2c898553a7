"""A bad argument is named, with what was expected and what came."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fairlead.errors import BadInputError
from fairlead.rollout.evidence import arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: arguments.probability("alpha", 1.0), "alpha: expected a number strictly between 0 and 1, got 1.0"),
        (lambda: arguments.positive("margin", np.inf), "margin: expected a finite number above 0, got inf"),
        (lambda: arguments.counts("events", [3, -1]), "events: expected whole numbers from 0, got -1.0"),
        (lambda: arguments.counts("events", [0.5]), "events: expected whole numbers from 0, got 0.5"),
        (lambda: arguments.shares("share", [0.5, 1]), "share: expected shares strictly between 0 and 1, got 1.0"),
        (lambda: arguments.numbers("x", [np.nan]), "x: expected finite numbers, got nan"),
        (lambda: arguments.numbers("x", ["a"]), r"x: expected numbers, got \['a'\]"),
    ],
)
def test_an_error_names_argument_expectation_and_value(call: Callable[[], object], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        call()


def test_good_arguments_come_back_as_floats() -> None:
    assert arguments.counts("events", [1, 2]).dtype == np.float64
    assert arguments.probability("alpha", 0.05) == 0.05
