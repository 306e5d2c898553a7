"""The documents that cross a boundary, by kind, and their JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fairlead.schema.base import Document
from fairlead.schema.bundle import Checks, Environment, Lineage, Manifest
from fairlead.schema.golden import Golden
from fairlead.schema.profile import Profile
from fairlead.schema.serve import ServeOptions
from fairlead.schema.signature import Signature
from fairlead.schema.snapshot import Snapshot

DOCUMENTS: Mapping[str, type[Document]] = {
    "checks": Checks,
    "environment": Environment,
    "golden": Golden,
    "lineage": Lineage,
    "manifest": Manifest,
    "profile": Profile,
    "serve_options": ServeOptions,
    "signature": Signature,
    "snapshot": Snapshot,
}
"""Every document that is a file or a message of its own."""

SHARED = ("manifest", "serve_options", "signature", "snapshot")
"""Those that the data plane reads with types of its own: both sides must give the same verdict on any JSON."""


def json_schema(kind: str) -> str:
    """Return the JSON Schema (2020-12) of a document of `DOCUMENTS` as text; raises `KeyError` for another."""
    schema: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema |= DOCUMENTS[kind].model_json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
