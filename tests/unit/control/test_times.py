"""Times in queries."""

from __future__ import annotations

import pytest

from fairlead.control.routes.shared import microseconds
from fairlead.control.settings import is_loopback
from fairlead.errors import ControlError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0", 0),
        ("1700000000000000", 1_700_000_000_000_000),
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01", 1_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T01:00:00 01:00", 0),
        ("1970-01-01T00:00:00.000007Z", 7),
        ("2026-03-01T12:00:00Z", 1_772_366_400_000_000),
    ],
)
def test_a_time_is_microseconds(text: str, wanted: int) -> None:
    assert microseconds(text) == wanted


@pytest.mark.parametrize("text", ["", "soon", "12:00", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ControlError):
        microseconds(text)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_which_addresses_are_of_this_machine_only(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours
