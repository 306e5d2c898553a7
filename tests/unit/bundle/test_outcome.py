"""What outputs mean: task, score, threshold and labels, from the model, the target and the flags."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.bundle.outcome import Labelling, infer_decision
from fairlead.bundle.overrides import DecisionOverride
from fairlead.bundle.sample import Array
from fairlead.bundle.sources import ModelFacts
from fairlead.errors import BadInputError
from fairlead.schema.signature import Decision, Scalar, Task

UNKNOWN = ModelFacts(names=None, width=None, task=None)
PAIR = np.array([[0.9, 0.1], [0.2, 0.8]])
SHARES = np.array([0.1, 0.8])
Meaning = tuple[Task, str, int, float | None, list[Scalar]]


def decision(
    outputs: dict[str, Array],
    facts: ModelFacts = UNKNOWN,
    labels: tuple[Scalar, ...] | None = None,
    threshold: float | None = None,
) -> Decision | None:
    return infer_decision(facts, outputs, Labelling(threshold, DecisionOverride(), labels))


def said(found: Decision | None) -> Meaning | None:
    return (
        None if found is None else (found.task, found.score_output, found.score_column, found.threshold, found.labels)
    )


@pytest.mark.parametrize(
    ("outputs", "labels", "expected"),
    [
        ({"p": PAIR}, None, (Task.BINARY, "p", 1, 0.5, [0, 1])),
        ({"p": PAIR}, ("no", "yes"), (Task.BINARY, "p", 1, 0.5, ["no", "yes"])),
        ({"p": SHARES}, (0, 1), (Task.BINARY, "p", 0, 0.5, [0, 1])),
        ({"p": SHARES}, None, (Task.REGRESSION, "p", 0, None, [])),
        ({"p": SHARES * 10}, (0, 1), (Task.REGRESSION, "p", 0, None, [])),
        ({"p": np.full((2, 3), 1 / 3)}, None, (Task.MULTICLASS, "p", 0, None, [0, 1, 2])),
        ({"p": np.full((2, 3), 7.0)}, None, None),
        ({"a": SHARES, "b": SHARES}, None, None),
        ({"a": SHARES, "score": SHARES}, (0, 1), (Task.BINARY, "score", 0, 0.5, [0, 1])),
        ({"label": np.array([0, 1]), "p": PAIR}, None, (Task.BINARY, "p", 1, 0.5, [0, 1])),
        ({"label": np.array([0, 1])}, None, None),
    ],
)
def test_what_can_be_told_from_the_outputs_is(
    outputs: dict[str, Array], labels: tuple[Scalar, ...] | None, expected: Meaning | None
) -> None:
    assert said(decision(outputs, labels=labels)) == expected


def test_the_models_own_labels_win_over_the_targets() -> None:
    facts = ModelFacts(names=None, width=None, task=Task.BINARY, labels=(False, True))
    assert said(decision({"probabilities": PAIR}, facts, (0, 1))) == (
        Task.BINARY,
        "probabilities",
        1,
        0.5,
        [False, True],
    )


def test_a_threshold_makes_one_score_a_binary_decision() -> None:
    assert said(decision({"p": SHARES * 10}, threshold=3.0)) == (Task.BINARY, "p", 0, 3.0, [0, 1])


def test_a_threshold_where_there_is_none_to_set_is_refused() -> None:
    with pytest.raises(BadInputError, match="--threshold is for two classes, and the model has 3"):
        decision({"p": np.full((2, 3), 1 / 3)}, threshold=0.5)
    with pytest.raises(BadInputError, match="which output is the score cannot be told"):
        decision({"a": SHARES, "b": SHARES}, threshold=0.5)
