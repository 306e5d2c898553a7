"""Streams of a bundle's profile, and streams that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.errors import BadInputError
from fairlead.monitor.sequential.detector import Detector
from fairlead.monitor.sequential.streams import Stream, of_feature, of_scores, stream
from fairlead.schema.profile import CategoryProfile, FeatureProfile, NumericProfile


def numeric(edges: list[float], counts: list[int]) -> NumericProfile:
    return NumericProfile(
        edges=edges, counts=counts, mean=None, standard_deviation=None, minimum=None, maximum=None, distinct=3
    )


def test_a_number_is_watched_in_the_bins_of_its_profile() -> None:
    found = of_feature(FeatureProfile(name="amount", count=100, missing=4, numeric=numeric([1, 2.5], [30, 40, 26])))
    assert found.cells == ("< 1", "[1, 2.5) #1", ">= 2.5", "missing", "invalid")
    assert found.reference.tolist() == [[30, 40, 26, 4, 0]]
    assert found.ordered == 3


def test_edges_that_print_alike_stay_apart() -> None:
    found = of_scores(numeric([0.12345678, 0.12345679, 0.1234568], [1, 2, 3, 4]))
    assert len(set(found.cells)) == 5


def test_a_category_is_watched_by_its_common_values_and_what_is_beside_them() -> None:
    categories = CategoryProfile(counts={"web": 50, "missing": 30}, other=15, distinct=9)
    found = of_feature(FeatureProfile(name="channel", count=100, missing=5, categories=categories))
    assert found.cells == ("= web", "= missing", "other", "missing", "invalid", "unseen")
    assert found.reference.tolist() == [[50, 30, 15, 5, 0, 0]]
    assert found.ordered == 0


def test_scores_have_no_missing_cell() -> None:
    assert of_scores(numeric([0.5], [70, 30])).cells == ("< 0.5", ">= 0.5", "invalid")


@pytest.mark.parametrize(
    "profile",
    [
        FeatureProfile(name="x", count=50, missing=0, numeric=numeric([], [50])),
        FeatureProfile(name="x", count=50, missing=50, numeric=numeric([], [0])),
        FeatureProfile(name="x", count=50, missing=50, categories=CategoryProfile(counts={}, distinct=0)),
    ],
    ids=["constant", "all missing", "no category"],
)
def test_columns_without_variety_are_watched_as_well(profile: FeatureProfile) -> None:
    Detector([of_feature(profile)])


def test_a_feature_without_a_profile_is_refused() -> None:
    with pytest.raises(BadInputError, match="feature `x`: expected a profile of numbers or of categories"):
        of_feature(FeatureProfile(name="x", count=0, missing=0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "stream: expected a name"),
        ({"cells": ("a",)}, "stream `x`, cells: expected 2 or more"),
        ({"cells": ("a", "a")}, "stream `x`, cells: expected names that differ"),
        ({"reference": np.array([1, 2])}, r"stream `x`, reference: expected shape \(seasons, 2\)"),
        ({"reference": np.array([[1, 2, 3]])}, r"stream `x`, reference: expected shape \(seasons, 2\)"),
        ({"reference": np.array([[0, 0]])}, "stream `x`, reference: expected 1 row or more"),
        ({"ordered": 3}, "stream `x`, ordered: expected 0 to 2"),
        ({"weight": 0.0}, "stream `x`, weight: expected a finite number above 0"),
    ],
)
def test_streams_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {"name": "x", "cells": ("a", "b"), "reference": np.array([[1, 2]])}
    with pytest.raises(BadInputError, match=message):
        Stream(**(fields | change))  # type: ignore[arg-type]  # wrong, or not to be told, on purpose


def test_a_reference_that_is_no_count_is_refused() -> None:
    with pytest.raises(BadInputError, match="stream `x`, reference: expected whole numbers from 0, got -1"):
        stream("x", ("a", "b"), [-1, 2])
