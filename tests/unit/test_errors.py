"""The exceptions: one tree, as drawn, with what the command line needs."""

from __future__ import annotations

import inspect

import pytest

from fairlead import errors
from fairlead.errors import BadInputError, EndpointError, FairleadError

EXCEPTIONS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
CLASSES = [kind for kind in EXCEPTIONS if issubclass(kind, FairleadError)]


def test_every_exception_is_ours() -> None:
    assert EXCEPTIONS == CLASSES
    assert len(CLASSES) > 3


@pytest.mark.parametrize("kind", CLASSES)
def test_every_exception_is_drawn_in_the_tree(kind: type[FairleadError]) -> None:
    assert f" {kind.__name__} " in f"{errors.__doc__} ".replace("\n", " ")
    assert kind.__doc__
    assert kind is FairleadError or kind.__doc__.startswith("Raised when ")


def test_only_wrong_input_exits_with_2() -> None:
    assert {kind.__name__ for kind in CLASSES if kind.exit_code == 2} == {BadInputError.__name__}


def test_an_endpoint_error_says_what_came() -> None:
    details = [{"row": 0, "field": "amount"}]
    error = EndpointError("no", code="queue_full", status=429, details=details, retry_after=1.5)
    assert (str(error), error.code, error.status, error.retry_after) == ("no", "queue_full", 429, 1.5)
    details.clear()
    assert error.details == ({"row": 0, "field": "amount"},)
