"""The prototype: a gradient-boosted model as a notebook would make it, its threshold and its figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.demo.material import Material
from fairlead.demo.options import Pace
from fairlead.errors import BadInputError

Score = Callable[[Any], NDArray[np.float64]]
"""The model's own scores of a frame of features."""

FALSE_ALARMS = 0.005
"""Share of legitimate rows that the threshold lets the model flag, measured on the validation rows."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the model is on rows it never saw. None where only one class is there."""

    rows: int
    positives: int
    auc: float | None
    average_precision: float | None
    accuracy: float
    """At score 0.5, as a notebook would print it."""
    accuracy_of_never: float
    """What always saying "negative" would get."""
    recall: float | None
    """Share of the positives at or above the threshold."""
    false_alarms: float
    """Share of the negatives at or above the threshold."""


@dataclass(frozen=True, slots=True)
class Prototype:
    """A trained model."""

    source: Any
    """What `pack` takes: a model file, or a fitted pipeline."""
    kind: str
    threshold: float
    quality: Quality
    score: Score


def train(material: Material, pace: Pace, folder: Path) -> Prototype:
    """Fit on `material.train`, choose the threshold on `material.validation`, judge on the first live stretch.

    Raises `BadInputError` where the training rows hold one class only.
    """
    labels = material.labels[material.train]
    if labels.min() == labels.max():
        raise BadInputError(
            f"all {len(labels)} training rows have the same {material.label_name}: there is nothing to learn"
        )
    source, kind, score = _fit(material, pace, folder)
    seen = material.validation
    frame = material.features
    threshold = choose_threshold(score(frame.iloc[seen]), material.labels[seen], material.weights[seen])
    judged = material.live[0].rows
    quality = judge(score(frame.iloc[judged]), threshold, (material.labels[judged], material.weights[judged]))
    return Prototype(source, kind, threshold, quality, score)


def _fit(material: Material, pace: Pace, folder: Path) -> tuple[Any, str, Score]:
    from lightgbm import LGBMClassifier

    frame, rows = material.features, material.train
    model = LGBMClassifier(
        n_estimators=pace.trees,
        learning_rate=0.05,
        min_child_samples=min(50, max(5, len(rows) // 200)),
        random_state=1,
        n_jobs=1,
        deterministic=True,
        verbose=-1,
    )
    if material.has_strings:
        pipeline = _with_encoding(model, material)
        pipeline.fit(frame.iloc[rows], material.labels[rows], model__sample_weight=material.weights[rows])
        kind = f"scikit-learn pipeline: one-hot for {len(material.string_columns)} text columns, LightGBM"
        return pipeline, kind, lambda part: np.asarray(pipeline.predict_proba(part)[:, 1])
    model.fit(frame.iloc[rows], material.labels[rows], sample_weight=material.weights[rows])
    path = folder / "model.txt"
    model.booster_.save_model(path)
    return path, "LightGBM", lambda part: np.asarray(model.booster_.predict(part))


def _with_encoding(model: Any, material: Material) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    text = material.string_columns
    numbers = [name for name in material.features.columns if name not in text]
    # No unseen-category column: a new value is all zeros, which both the notebook and ONNX can say.
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    transform = ColumnTransformer([("text", encode, text), ("numbers", "passthrough", numbers)])
    return Pipeline([("columns", transform), ("model", model)])


def choose_threshold(scores: NDArray[np.float64], labels: NDArray[np.int8], weights: NDArray[np.float64]) -> float:
    """The lowest threshold that flags at most `FALSE_ALARMS` of the negatives, by weight.

    It lies half-way between two scores, so that no row's decision hangs on the last bit of its score. Raises
    `BadInputError` where no row is negative.
    """
    negative = labels == 0
    if not negative.any():
        raise BadInputError("no validation row is negative: a threshold cannot be chosen")
    level, place = np.unique(scores[negative], return_inverse=True)
    mass = np.bincount(place, weights=weights[negative])
    above = np.cumsum(mass[::-1])[::-1] / mass.sum()
    flagged = int(np.searchsorted(-above, -FALSE_ALARMS, side="left"))
    lower = level[flagged - 1]
    higher = scores[scores > lower]
    if len(higher):
        return float((lower + higher.min()) / 2.0)
    # Even the highest score is common to more than that: nothing is flagged.
    return float(np.nextafter(max(lower, 1.0), np.inf))


def judge(
    scores: NDArray[np.float64], threshold: float, truth: tuple[NDArray[np.int8], NDArray[np.float64]]
) -> Quality:
    """Figures of `scores` against `truth` = (labels, weights); each row counts with its weight."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    labels, weights = truth
    positive = labels == 1
    flagged = scores >= threshold
    both = bool(positive.any() and not positive.all())
    return Quality(
        rows=len(labels),
        positives=int(positive.sum()),
        auc=float(roc_auc_score(labels, scores, sample_weight=weights)) if both else None,
        average_precision=float(average_precision_score(labels, scores, sample_weight=weights)) if both else None,
        accuracy=float(np.average((scores >= 0.5) == positive, weights=weights)),
        accuracy_of_never=float(np.average(~positive, weights=weights)),
        recall=float(np.average(flagged[positive], weights=weights[positive])) if positive.any() else None,
        false_alarms=float(np.average(flagged[~positive], weights=weights[~positive])) if not positive.all() else 0.0,
    )
