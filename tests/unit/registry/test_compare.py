"""May one bundle stand in for another?"""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.registry.compare import incompatibilities
from fairlead.schema.signature import Signature
from tests.serverkit.bundles import signature


def changed(**changes: Any) -> Signature:
    document = signature("amount", "age").model_dump(mode="json")
    for path, value in changes.items():
        *parents, last = path.split("__")
        at: Any = document
        for part in parents:
            at = at[int(part) if part.isdigit() else part]
        at[int(last) if last.isdigit() else last] = value
    return Signature.model_validate(document)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (signature("amount"), ["input 'numbers' has shape [-1, 1], not [-1, 2]", "feature 'age' is missing"]),
        (
            signature("amount", "size"),
            ["feature 'age' is missing", "feature 'size' is new"],
        ),
        (changed(inputs__0__datatype="FP64"), ["input 'numbers' is FP64, not FP32"]),
        (changed(outputs__0__shape=[-1, 1]), ["output 'score' has shape [-1, 1], not [-1]"]),
        (
            changed(outputs__0__name="p", decision__score_output="p"),
            ["output 'p' is new", "output 'score' is missing"],
        ),
        (changed(features__1__type="integer"), ["feature 'age' is integer, not float"]),
        (changed(decision=None), ["one of them decides, the other does not"]),
        (changed(decision__labels=[1, 0]), ["the labels are [1, 0], not [0, 1]"]),
        (changed(decision__labels=[False, True]), ["the labels are [False, True], not [0, 1]"]),
        (
            changed(decision={"task": "regression", "score_output": "score"}),
            ["the task is regression, not binary", "the labels are [], not [0, 1]"],
        ),
    ],
)
def test_what_a_caller_would_trip_over_is_named(other: Signature, told: list[str]) -> None:
    assert incompatibilities(signature("amount", "age"), other) == told


@pytest.mark.parametrize(
    "other",
    [
        signature("amount", "age"),
        signature("amount", "age", threshold=0.9),
        changed(features__0__minimum=3.0),
        changed(features__1__nullable=True),
    ],
)
def test_what_a_caller_would_not_notice_is_compatible(other: Signature) -> None:
    assert incompatibilities(signature("amount", "age"), other) == []
