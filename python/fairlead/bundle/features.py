"""Which columns of the sample are the model's features, and what may stand in each."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairlead.bundle.overrides import FeatureOverride
from fairlead.bundle.sample import Column, Sample
from fairlead.bundle.sources import Layout, ModelFacts
from fairlead.bundle.sources.source import MATRIX_NAME
from fairlead.errors import BadInputError
from fairlead.schema.signature import Datatype, FeatureSpec, FeatureType, Scalar, TensorSpec

MOST_CATEGORIES = 200
"""A string column with more distinct values than this gets no list of allowed ones."""
RANGE_WIDENING = 10.0
"""The allowed range reaches this many widths of the sample's range beyond each of its ends."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked of the choice of columns."""

    features: Sequence[str] | None
    target: str | None
    segments: Sequence[str]


def choose_features(sample: Sample, facts: ModelFacts, wanted: Selection) -> list[Column]:
    """Return the model's columns in the model's order.

    Those named with --features; else those the model was trained on; else all but the target, if they are as many as
    the model takes. Raises `BadInputError` where a column is missing, empty, or the count does not fit.
    """
    names = _named(sample, facts, wanted)
    if facts.width is not None and len(names) != facts.width:
        raise BadInputError(
            f"the model takes {facts.width} columns, but the sample gives {len(names)}: {', '.join(names)}",
            hint="name the model's columns in its order with --features a,b,c",
        )
    if not names:
        raise BadInputError("the sample has no column that could be a feature")
    if wanted.target in names:
        raise BadInputError(f"the target {wanted.target!r} is one of the model's features")
    columns = [sample.column(name, "feature") for name in names]
    for column in columns:
        if column.missing.all():
            raise BadInputError(f"column {column.name!r} has no value at all in the sample")
    return columns


def _named(sample: Sample, facts: ModelFacts, wanted: Selection) -> list[str]:
    if wanted.features is not None:
        return _as_listed(list(wanted.features), facts)
    if facts.names is not None:
        return [_find(sample, name) for name in facts.names]
    others = [name for name in sample.columns if name != wanted.target]
    without_segments = [name for name in others if name not in wanted.segments]
    if facts.width is not None and len(others) != facts.width and len(without_segments) == facts.width:
        return without_segments
    return others


def _as_listed(listed: list[str], facts: ModelFacts) -> list[str]:
    twice = [name for name in listed if listed.count(name) > 1]
    if twice:
        raise BadInputError(f"--features names {twice[0]!r} twice")
    if facts.names is not None and set(listed) == set(facts.names):
        return list(facts.names)
    return listed


def _find(sample: Sample, name: str) -> str:
    """Return the sample's column for a name the model knows; LightGBM writes `_` for a space."""
    if name in sample.columns or name in sample.unusable:
        return name
    spaced = [column for column in sample.columns if column.replace(" ", "_") == name]
    if len(spaced) == 1:
        return spaced[0]
    raise BadInputError(
        f"the model was trained on column {name!r}, which the sample does not have",
        hint=f"its columns are: {', '.join(sample.columns)}; map others in the model's order with --features",
    )


def input_tensors(
    features: Sequence[Column], layout: Layout, floats: Datatype, nullable: Collection[str]
) -> list[TensorSpec]:
    """Return the input tensors of a layout; `floats` is FP32 for a graph and FP64 for the Python engine.

    Columns named in `nullable` get a tensor that can say that a value is missing.
    """
    if layout is Layout.MATRIX:
        return [TensorSpec(name=MATRIX_NAME, datatype=floats, shape=[-1, len(features)])]
    shape = [-1] if layout is Layout.VECTORS else [-1, 1]
    return [TensorSpec(name=c.name, datatype=_datatype(c, floats, nullable), shape=shape) for c in features]


def _datatype(column: Column, floats: Datatype, nullable: Collection[str]) -> Datatype:
    if column.type is FeatureType.STRING:
        return Datatype.BYTES
    if column.type is FeatureType.FLOAT or column.missing.any() or column.name in nullable:
        return floats  # only a floating tensor can say that an integer is missing
    return Datatype.BOOL if column.type is FeatureType.BOOLEAN else Datatype.INT64


def feature_specs(features: Sequence[Column], inputs: Sequence[TensorSpec]) -> list[FeatureSpec]:
    """Return what may stand in each column, inferred from the sample.

    A number may lie within the sample's range widened by `RANGE_WIDENING` times its width on either side, except that
    what was never negative stays non-negative; a column of one single value gets no range. A string may be any value
    seen, up to `MOST_CATEGORIES` distinct ones. A value may be missing if one was. What is invalid is imputed by the
    median, or by the commonest value of strings and booleans.
    """
    specs = []
    for number, column in enumerate(features):
        tensor = inputs[0] if len(inputs) == 1 else inputs[number]
        minimum, maximum = allowed_range(column)
        specs.append(
            FeatureSpec(
                name=column.name,
                type=column.type,
                tensor=tensor.name,
                column=number if len(inputs) == 1 else 0,
                nullable=bool(column.missing.any()),
                minimum=minimum,
                maximum=maximum,
                categories=_categories(column),
                missing=None,
                impute=typical_value(column),
            )
        )
    return specs


def allowed_range(column: Column) -> tuple[float | None, float | None]:
    """Return the inclusive range of a number column, (None, None) for others and for constants."""
    if column.type not in (FeatureType.FLOAT, FeatureType.INTEGER):
        return None, None
    present = column.present().astype(np.float64)
    low, high = float(present.min()), float(present.max())
    if low == high:
        return None, None
    reach = RANGE_WIDENING * (high - low)
    minimum, maximum = low - reach, high + reach
    if low >= 0:
        minimum = max(minimum, 0.0)
    if not (math.isfinite(minimum) and math.isfinite(maximum)):
        return None, None
    if column.type is FeatureType.INTEGER:
        return float(math.floor(minimum)), float(math.ceil(maximum))
    return minimum, maximum


def _categories(column: Column) -> list[str] | None:
    if column.type is not FeatureType.STRING:
        return None
    distinct = sorted(set(column.present().tolist()))
    return distinct if len(distinct) <= MOST_CATEGORIES else None


def typical_value(column: Column) -> Scalar:
    """Return the median of a number column (a value that occurs), else the commonest value, ties by value."""
    present = column.present()
    if column.type in (FeatureType.FLOAT, FeatureType.INTEGER):
        middle: Scalar = np.sort(present)[(len(present) - 1) // 2].item()
        return middle
    values, counts = np.unique(
        present.astype(str) if column.type is FeatureType.STRING else present, return_counts=True
    )
    commonest: Scalar = values[counts.argmax()].item()
    return commonest


def apply_types(features: Sequence[Column], overrides: Mapping[str, FeatureOverride]) -> list[Column]:
    """Return the columns read as the types the signature file gives them.

    Raises `BadInputError` for a feature that is not there.
    """
    known = {column.name for column in features}
    for name in overrides:
        if name not in known:
            raise BadInputError(f"the signature file names a feature {name!r} that the model does not take")
    wanted = {name: override.type for name, override in overrides.items() if override.type is not None}
    return [column.as_type(wanted.get(column.name, column.type)) for column in features]
