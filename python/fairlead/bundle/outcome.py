"""What a model's outputs are, and how they become a score and a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fairlead.bundle.overrides import DecisionOverride
from fairlead.bundle.runtime.runner import PREDICTION, PROBABILITIES, SCORES, class_labels
from fairlead.bundle.sample import Array, Column
from fairlead.bundle.sources import ModelFacts
from fairlead.bundle.tensors import datatype_of
from fairlead.errors import BadInputError, BundleError
from fairlead.schema.signature import Datatype, Decision, Scalar, Task, TensorSpec

UNSEEN_OUTPUTS = [TensorSpec(name=PREDICTION, datatype=Datatype.FP64, shape=[-1])]
"""Stands in a signature until the model has answered once."""
DEFAULT_THRESHOLD = 0.5
_SCORE_NAMES = (PROBABILITIES, SCORES, "score", PREDICTION)
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Labelling:
    """What the user says of the decision."""

    threshold: float | None
    override: DecisionOverride
    target_labels: tuple[Scalar, ...] | None
    """The target's distinct values in order, None without a target."""


def target_labels(target: Column | None) -> tuple[Scalar, ...] | None:
    """Return the distinct values of the target, in order."""
    if target is None:
        return None
    return tuple(class_labels(sorted(set(target.present().tolist()))))


def output_specs(outputs: Mapping[str, Array], rows: int) -> list[TensorSpec]:
    """Return the specification of outputs as a model gave them; raises `BundleError` for what is no batch of tensors.

    Probabilities and scores of classes are FP32 whatever the library computes them in.
    """
    if not outputs:
        raise BundleError("the model gave no output")
    specs = []
    for name, given in outputs.items():
        values = np.asarray(given)
        if values.ndim == 0 or len(values) != rows:
            got = "a scalar" if values.ndim == 0 else f"{len(values)} rows"
            raise BundleError(f"the model's output {name!r} has {got} for a batch of {rows}")
        datatype = datatype_of(values.astype(np.float32) if values.dtype == np.float16 else values)
        if name == PROBABILITIES and datatype is Datatype.FP64:
            datatype = Datatype.FP32
        specs.append(TensorSpec(name=name, datatype=datatype, shape=[-1, *values.shape[1:]]))
    return specs


def infer_decision(facts: ModelFacts, outputs: Mapping[str, Array], labelling: Labelling) -> Decision | None:
    """Return what the outputs mean, None where that cannot be told; what the user says wins.

    Raises `BadInputError` where what the user says does not fit the outputs.
    """
    found = _inferred(facts, outputs, labelling)
    if labelling.threshold is not None:
        found = _with_threshold(found, labelling)
    decision = labelling.override.apply(found)
    if decision is not None:
        _check(decision, outputs)
    return decision


def _inferred(facts: ModelFacts, outputs: Mapping[str, Array], labelling: Labelling) -> Decision | None:
    name = _score_output(outputs)
    if name is None:
        return None
    values = outputs[name]
    width = 1 if values.ndim == 1 else values.shape[1]
    labels = _labels(facts, labelling, max(width, 2))
    if width == 1:
        return _one_score(facts, name, values, labels, labelling)
    if facts.task is Task.REGRESSION or not (facts.labels or _sums_to_one(values)):
        return None
    if width == 2:
        return Decision(task=Task.BINARY, score_output=name, score_column=1, threshold=DEFAULT_THRESHOLD, labels=labels)
    return Decision(task=Task.MULTICLASS, score_output=name, labels=labels)


def _score_output(outputs: Mapping[str, Array]) -> str | None:
    floats = [name for name, values in outputs.items() if values.dtype.kind == "f" and values.ndim <= 2]
    preferred = [name for name in _SCORE_NAMES if name in floats]
    if preferred:
        return preferred[0]
    return floats[0] if len(floats) == 1 else None


def _labels(facts: ModelFacts, labelling: Labelling, count: int) -> list[Scalar]:
    if len(facts.labels) == count:
        return list(facts.labels)
    if labelling.target_labels is not None and len(labelling.target_labels) == count:
        return list(labelling.target_labels)
    return list(range(count))


def _one_score(facts: ModelFacts, name: str, values: Array, labels: list[Scalar], labelling: Labelling) -> Decision:
    if len(facts.labels) == 2:  # a classifier without probabilities: its decision function has its own zero
        threshold = 0.0 if name == SCORES else DEFAULT_THRESHOLD
        return Decision(task=Task.BINARY, score_output=name, threshold=threshold, labels=labels)
    two_labels = labelling.target_labels is not None and len(labelling.target_labels) == 2
    a_probability = bool(((values >= 0) & (values <= 1)).all())
    if facts.task is None and two_labels and a_probability:
        return Decision(task=Task.BINARY, score_output=name, threshold=DEFAULT_THRESHOLD, labels=labels)
    return Decision(task=Task.REGRESSION, score_output=name)


def _sums_to_one(values: Array) -> bool:
    return bool((values >= 0).all() and np.abs(values.sum(axis=1) - 1).max() <= _SUM_TOLERANCE)


def _with_threshold(decision: Decision | None, labelling: Labelling) -> Decision:
    if decision is None:
        raise BadInputError("--threshold is given, but which output is the score cannot be told")
    if decision.task is Task.MULTICLASS:
        raise BadInputError(f"--threshold is for two classes, and the model has {len(decision.labels)}")
    known = labelling.target_labels
    two = list(known) if known is not None and len(known) == 2 else [0, 1]
    return Decision(
        task=Task.BINARY,
        score_output=decision.score_output,
        score_column=decision.score_column,
        threshold=labelling.threshold,
        labels=decision.labels or two,
    )


def _check(decision: Decision, outputs: Mapping[str, Array]) -> None:
    if decision.score_output not in outputs:
        raise BadInputError(f"the decision's score_output {decision.score_output!r} is not one of {sorted(outputs)}")
    values = outputs[decision.score_output]
    width = 1 if values.ndim == 1 else values.shape[1]
    if decision.score_column >= width:
        raise BadInputError(f"the decision's score_column {decision.score_column} is beyond the {width} of the output")
    if decision.task is Task.MULTICLASS and len(decision.labels) != width:
        raise BadInputError(f"the decision has {len(decision.labels)} labels for {width} class scores")
