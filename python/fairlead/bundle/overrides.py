"""The signature file: what a person knows better than the sample shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from fairlead.bundle.sample import first_line
from fairlead.errors import BadInputError
from fairlead.schema.base import Document
from fairlead.schema.signature import Decision, FeatureSpec, FeatureType, Scalar, Task


class FeatureOverride(Document):
    """Fields of one feature to set; those not named stay as inferred. `null` sets none."""

    type: FeatureType | None = None
    nullable: bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    categories: list[str] | None = None
    missing: Scalar | None = None
    impute: Scalar | None = None

    def apply(self, feature: FeatureSpec) -> FeatureSpec:
        """Return the feature with the named fields set."""
        named = {name: getattr(self, name) for name in self.model_fields_set if name != "type"}
        return FeatureSpec.model_validate(feature.model_dump() | named)


class DecisionOverride(Document):
    """Fields of the decision to set."""

    task: Task | None = None
    score_output: str | None = None
    score_column: int | None = None
    threshold: float | None = None
    labels: list[Scalar] | None = None

    def apply(self, decision: Decision | None) -> Decision | None:
        """Return the decision with the named fields set; raises `BadInputError` where it does not hold together."""
        named = {name: getattr(self, name) for name in self.model_fields_set}
        if not named:
            return decision
        try:
            return Decision.model_validate((decision.model_dump() if decision else {}) | named)
        except ValidationError as error:
            raise BadInputError(f"the decision does not hold together: {said(error)}") from error


class Overrides(Document):
    """A partial signature: features by name, and the decision."""

    features: dict[str, FeatureOverride] = Field(default_factory=dict)
    decision: DecisionOverride = DecisionOverride()


def said(error: ValidationError) -> str:
    """Return a validation error's findings as one line."""
    found = (f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors())
    return "; ".join(found)


def read_overrides(given: str | Path | Mapping[str, Any] | None) -> Overrides:
    """Read a signature file (.yaml, .yml or .json), or take a mapping of the same form; None is no override.

    Raises `BadInputError` naming the file and the field.
    """
    if given is None:
        return Overrides()
    name = "the overrides" if isinstance(given, Mapping) else Path(given).name
    try:
        return Overrides.model_validate(given if isinstance(given, Mapping) else _parse(Path(given)))
    except ValidationError as error:
        raise BadInputError(f"{name}: {said(error)}") from error


def _parse(path: Path) -> Any:
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else (yaml.safe_load(text) or {})
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadInputError(f"{path.name} cannot be read: {first_line(error)}") from error
