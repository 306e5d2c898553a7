"""Snapshots for tests: documents of `fairlead.schema`, with the fields that a test is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead.schema.snapshot import Batching, BundleReference, Endpoint, EngineOptions, Role, Snapshot, Variant

_BATCHING = set(Batching.model_fields)
_ENGINE = set(EngineOptions.model_fields)


def endpoint(name: str, bundle: Path, *, version: str = "1", **fields: Any) -> Endpoint:
    """Return an endpoint with one champion; `fields` are those of the endpoint, of its batching and of its engine."""
    batching = {key: value for key, value in fields.items() if key in _BATCHING}
    engine = {key: value for key, value in fields.items() if key in _ENGINE}
    own = {key: value for key, value in fields.items() if key not in _BATCHING | _ENGINE}
    return Endpoint(
        name=name,
        variants=[variant(bundle, version)],
        batching=Batching(**batching),
        engine=EngineOptions(**engine),
        **own,
    )


def variant(bundle: Path, version: str = "1", role: Role = Role.CHAMPION) -> Variant:
    """Return `bundle` in a role."""
    return Variant(role=role, version=version, bundle=BundleReference(path=str(bundle)))


def snapshot(*endpoints: Endpoint, generation: int = 1) -> Snapshot:
    """Return a snapshot of these endpoints."""
    return Snapshot(generation=generation, endpoints=list(endpoints))
