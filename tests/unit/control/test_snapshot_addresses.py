"""Where replicas are told to fetch bundles that they cannot read themselves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from fairlead.control.context import Control
from fairlead.control.routes.snapshot import reachable
from fairlead.control.settings import Settings
from fairlead.registry.desired import DOWNLOAD
from fairlead.schema.snapshot import BundleReference, Endpoint, Role, Snapshot, Variant

SHA256 = "ab" * 32


def told(path: str, public_url: str | None, *, shared: bool = False) -> str:
    settings = Settings(database_url="sqlite://", bundles="b", public_url=public_url)
    control = cast("Control", SimpleNamespace(settings=settings, storage=SimpleNamespace(shared=shared)))
    variant: Any = Variant(role=Role.CHAMPION, version="1", bundle=BundleReference(path=path, sha256=SHA256))
    found = reachable(Snapshot(endpoints=[Endpoint(name="fraud", variants=[variant])]), "http://asked:1/", control)
    return found.endpoints[0].variants[0].bundle.path


@pytest.mark.parametrize(
    ("public_url", "before"),
    [(None, "http://asked:1"), ("https://control.example/fairlead", "https://control.example/fairlead")],
)
def test_the_public_address_goes_before_that_which_the_replica_asked(public_url: str | None, before: str) -> None:
    assert told(DOWNLOAD + SHA256, public_url) == f"{before}/api/v1/bundles/{SHA256}"


def test_paths_are_left_as_they_are() -> None:
    assert told("/bundles/fraud", "https://control.example") == "/bundles/fraud"
    assert told("/bundles/fraud", "https://control.example", shared=True) == "/bundles/fraud"
