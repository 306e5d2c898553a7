"""What the routes' signatures have in common."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path

from fairlead.control.context import Control, control_of
from fairlead.schema.bundle import BundleName

Here = Annotated[Control, Depends(control_of)]
EndpointName = Annotated[BundleName, Path(description="Name of the endpoint.")]
Digits = Annotated[
    str, Path(pattern=r"^[0-9a-f]{6,64}$", description="The bundle's sha256, or its first digits, six at least.")
]
