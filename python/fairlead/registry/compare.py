"""Two bundles side by side: may one stand in for the other, and what differs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairlead.schema.profile import FeatureProfile, NumericProfile, Profile
from fairlead.schema.registry import BundleDiff, BundleDocuments, BundleRecord, Difference
from fairlead.schema.signature import Signature, TensorSpec


def incompatibilities(champion: Signature, other: Signature) -> list[str]:
    """Return what a caller of `champion` would trip over if `other` answered; empty where nothing.

    Inputs, outputs, features and labels must be the same by name and type; ranges, thresholds and what stands for a
    missing value may differ.
    """
    return [
        *_tensors("input", champion.inputs, other.inputs),
        *_tensors("output", champion.outputs, other.outputs),
        *_features(champion, other),
        *_decision(champion, other),
    ]


def compare(first: tuple[BundleRecord, BundleDocuments], second: tuple[BundleRecord, BundleDocuments]) -> BundleDiff:
    """Return what changed from the first bundle to the second."""
    (record, ours), (other, theirs) = first, second
    found = incompatibilities(ours.signature, theirs.signature)
    pairs = {
        name: list(
            differences(getattr(ours, name).model_dump(mode="json"), getattr(theirs, name).model_dump(mode="json"))
        )
        for name in ("signature", "checks", "lineage", "environment")
    }
    profile = list(differences(_summary(ours.profile), _summary(theirs.profile)))
    return BundleDiff(
        first=record, second=other, compatible=not found, incompatibilities=found, profile=profile, **pairs
    )


def _tensors(kind: str, ours: Sequence[TensorSpec], theirs: Sequence[TensorSpec]) -> Iterator[str]:
    wanted, given = {spec.name: spec for spec in ours}, {spec.name: spec for spec in theirs}
    for name in sorted(wanted.keys() | given.keys()):
        if name not in given:
            yield f"{kind} {name!r} is missing"
        elif name not in wanted:
            yield f"{kind} {name!r} is new"
        else:
            a, b = wanted[name], given[name]
            if a.datatype is not b.datatype:
                yield f"{kind} {name!r} is {b.datatype.value}, not {a.datatype.value}"
            if a.shape != b.shape:
                yield f"{kind} {name!r} has shape {b.shape}, not {a.shape}"


def _features(champion: Signature, other: Signature) -> Iterator[str]:
    wanted = {feature.name: feature for feature in champion.features}
    given = {feature.name: feature for feature in other.features}
    for name in sorted(wanted.keys() | given.keys()):
        if name not in given:
            yield f"feature {name!r} is missing"
        elif name not in wanted:
            yield f"feature {name!r} is new"
        elif wanted[name].type is not given[name].type:
            yield f"feature {name!r} is {given[name].type.value}, not {wanted[name].type.value}"


def _decision(champion: Signature, other: Signature) -> Iterator[str]:
    ours, theirs = champion.decision, other.decision
    if (ours is None) != (theirs is None):
        yield "one of them decides, the other does not"
    elif ours is not None and theirs is not None:
        if ours.task is not theirs.task:
            yield f"the task is {theirs.task.value}, not {ours.task.value}"
        if [(type(label), label) for label in ours.labels] != [(type(label), label) for label in theirs.labels]:
            yield f"the labels are {theirs.labels}, not {ours.labels}"


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield every value in which two JSON objects differ, by its path."""
    ours, theirs = dict(_leaves(first)), dict(_leaves(second))
    for field in sorted(ours.keys() | theirs.keys()):
        if ours.get(field) != theirs.get(field):
            yield Difference(field=field, first=ours.get(field), second=theirs.get(field))


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every plain value by its path; members of a list that have names go by these."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            name = item.get("name", number) if isinstance(item, dict) else number
            yield from _leaves(item, f"{path}[{name}]")
    else:
        yield path, value


def _summary(profile: Profile) -> dict[str, Any]:
    return {
        "rows": profile.rows,
        "label_rate": profile.label_rate,
        "score": _numbers(profile.score),
        "features": {feature.name: _feature(feature) for feature in profile.features},
    }


def _feature(feature: FeatureProfile) -> dict[str, Any]:
    share = feature.missing / feature.count if feature.count else None
    known = sorted(feature.categories.counts) if feature.categories is not None else None
    return {"missing_share": share, "categories": known, **_numbers(feature.numeric)}


def _numbers(numeric: NumericProfile | None) -> dict[str, Any]:
    if numeric is None:
        return {}
    return numeric.model_dump(include={"mean", "standard_deviation", "minimum", "maximum", "distinct"})
