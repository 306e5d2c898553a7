"""What the routes' signatures have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Path

from fairlead.control.context import Control, control_of
from fairlead.errors import ControlError
from fairlead.schema.bundle import BundleName

Here = Annotated[Control, Depends(control_of)]
EndpointName = Annotated[BundleName, Path(description="Name of the endpoint.")]
Digits = Annotated[
    str, Path(pattern=r"^[0-9a-f]{6,64}$", description="The bundle's sha256, or its first digits, six at least.")
]
MOST_DIGITS = 18
"""Of microseconds, so that a database can count them."""
A_TIME = "A time: ISO 8601 (without an offset: UTC), or microseconds since 1970."


def microseconds(text: str) -> int:
    """Return a time in microseconds since 1970; raises `ControlError`."""
    if text.isdecimal() and len(text) <= MOST_DIGITS:
        return int(text)
    try:
        time = datetime.fromisoformat(text.replace(" ", "+"))  # a plus that was not escaped in the query
    except ValueError:
        raise ControlError(f"{text!r} is no time", code="invalid_request") from None
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
