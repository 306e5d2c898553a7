"""The reference profile of the sample: what monitors will compare live traffic with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairlead.bundle.parity import decided, scores
from fairlead.bundle.runtime.runner import missing_cells, vector
from fairlead.bundle.sample import Array, Column, scalar_text
from fairlead.bundle.tensors import Tensors
from fairlead.errors import BadInputError
from fairlead.schema.profile import CategoryProfile, FeatureProfile, NumericProfile, Profile, SegmentRate
from fairlead.schema.signature import Decision, FeatureType, Signature, Task

FEATURE_BINS = 20
SCORE_BINS = 50
MOST_CATEGORIES = 200
MOST_SEGMENTS = 200


@dataclass(frozen=True, slots=True)
class Scored:
    """The rows of the sample that were scored: their answers, true labels and segments."""

    outputs: Tensors
    target: Column | None
    segments: Sequence[Column]


def numeric_profile(values: Array, bins: int) -> NumericProfile:
    """Return counts between quantiles of `values` (finite, not empty).

    Edges are the 1/bins ... (bins-1)/bins quantiles, each a value that occurs, duplicates dropped; a value equal to an
    edge counts in the bin that begins there.
    """
    values = np.asarray(values, dtype=np.float64)
    shares = np.arange(1, bins) / bins
    edges = np.unique(np.quantile(values, shares, method="inverted_cdf"))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return NumericProfile(
        edges=edges.tolist(),
        counts=counts.tolist(),
        mean=float(values.mean()),
        standard_deviation=float(values.std()),
        minimum=float(values.min()),
        maximum=float(values.max()),
        distinct=len(np.unique(values)),
    )


def category_profile(values: Sequence[str]) -> CategoryProfile:
    """Return counts of the `MOST_CATEGORIES` commonest values, ties by value, and of the rest together."""
    ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    return CategoryProfile(
        counts=dict(ranked[:MOST_CATEGORIES]),
        other=sum(count for _, count in ranked[MOST_CATEGORIES:]),
        distinct=len(ranked),
    )


def feature_profiles(signature: Signature, tensors: Tensors) -> list[FeatureProfile]:
    """Return one profile per feature, measured on the tensors that the server would see."""
    profiles = []
    for feature in signature.features:
        values = vector(tensors, feature)
        missing = missing_cells(signature, feature, values)
        present = values[~missing]
        numeric = categories = None
        if feature.type is FeatureType.STRING:
            categories = category_profile(present.tolist())
        elif feature.type is FeatureType.BOOLEAN:
            categories = category_profile([scalar_text(bool(value)) for value in present.tolist()])
        elif len(present):
            numeric = numeric_profile(present, FEATURE_BINS)
        profiles.append(
            FeatureProfile(
                name=feature.name,
                count=len(values),
                missing=int(missing.sum()),
                numeric=numeric,
                categories=categories,
            )
        )
    return profiles


def build_profile(signature: Signature, rows: int, features: list[FeatureProfile], scored: Scored) -> Profile:
    """Return the whole reference profile."""
    decision = signature.decision
    positives = _positives(decision, scored.target)
    score = label_rate = None
    if decision is not None and decision.task is not Task.MULTICLASS:
        score = numeric_profile(scores(decision, scored.outputs), SCORE_BINS)
    if positives is not None:
        label_rate = float(positives.mean())
    segments = [rate for column in scored.segments for rate in _segment_rates(column, decision, scored, positives)]
    return Profile(rows=rows, features=features, score=score, label_rate=label_rate, segments=segments)


def _positives(decision: Decision | None, target: Column | None) -> Array | None:
    """Return where the true label is the positive one, None without a target or a binary decision."""
    if decision is None or decision.task is not Task.BINARY or target is None:
        return None
    positive = decision.labels[1]
    if target.type is FeatureType.STRING:
        return np.asarray(target.values == str(positive))
    if isinstance(positive, str):
        return None
    return np.asarray(target.values.astype(np.float64) == float(positive))


def check_segment(column: Column) -> None:
    """Raise `BadInputError` where a segment column has too many values to be one."""
    distinct = len(set(column.values.tolist()))
    if distinct > MOST_SEGMENTS:
        raise BadInputError(f"segment column {column.name!r} has {distinct} values, more than {MOST_SEGMENTS}")


def _segment_rates(
    column: Column, decision: Decision | None, scored: Scored, positives: Array | None
) -> list[SegmentRate]:
    """Return one rate per value of the column; a missing value is the segment with the empty name."""
    names = np.array([scalar_text(value) for value in column.values.tolist()], dtype=object)
    names[column.missing] = ""
    labels = None if decision is None or decision.task is not Task.BINARY else decided(decision, scored.outputs)
    score = None if decision is None or decision.task is Task.MULTICLASS else scores(decision, scored.outputs)
    return [
        SegmentRate(
            segment=column.name,
            value=name,
            count=int(inside.sum()),
            positive_decisions=None if labels is None else int(labels[inside].sum()),
            mean_score=None if score is None else float(score[inside].mean()),
            positive_labels=None if positives is None else int(positives[inside].sum()),
        )
        for name in sorted(set(names.tolist()))
        for inside in [names == name]
    ]
