"""Which columns a model gets, and what the signature lets stand in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.bundle import PackResult, open_bundle, pack_model
from fairlead.bundle.features import Selection, allowed_range, choose_features, typical_value
from fairlead.bundle.sample import Array, Column, read_sample
from fairlead.bundle.sources import ModelFacts
from fairlead.errors import BadInputError
from fairlead.schema.signature import Datatype, FeatureType

if TYPE_CHECKING:
    import lightgbm

SAMPLE = read_sample({"a": np.array([1.0, 2.0]), "b b": np.array([1, 2]), "y": np.array([0, 1])})


def chosen(
    names: tuple[str, ...] | None = None,
    width: int | None = None,
    features: Sequence[str] | None = None,
    target: str | None = "y",
    segments: Sequence[str] = (),
) -> list[str]:
    facts = ModelFacts(names=names, width=width, task=None)
    return [column.name for column in choose_features(SAMPLE, facts, Selection(features, target, segments))]


def test_the_models_own_names_and_order_win() -> None:
    assert chosen(names=("b_b", "a"), width=2) == ["b b", "a"]


def test_without_names_all_columns_but_the_target_are_taken() -> None:
    assert chosen(width=2) == ["a", "b b"]


def test_a_segment_column_is_left_out_where_the_count_says_so() -> None:
    assert chosen(width=1, segments=["a"]) == ["b b"]


def test_listed_features_are_taken_as_listed_unless_the_model_knows_their_order() -> None:
    assert chosen(width=2, features=["b b", "a"]) == ["b b", "a"]
    assert chosen(names=("a", "b b"), width=2, features=["b b", "a"]) == ["a", "b b"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"names": ("a", "z"), "width": 2}, "trained on column 'z', which the sample does not have"),
        ({"width": 5}, "the model takes 5 columns, but the sample gives 2: a, b b"),
        ({"features": ["a", "nope"], "width": 2}, "feature 'nope' is not in the sample"),
        ({"features": ["a", "a"], "width": 2}, "names 'a' twice"),
    ],
)
def test_what_does_not_fit_is_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        chosen(**arguments)


def test_an_all_missing_column_is_refused() -> None:
    sample = read_sample({"a": np.array([np.nan, np.nan])})
    with pytest.raises(BadInputError, match="column 'a' has no value at all"):
        choose_features(sample, ModelFacts(None, 1, None), Selection(None, None, ()))


def numbers(values: list[float], kind: FeatureType = FeatureType.FLOAT) -> Column:
    array: Array = np.array(values, dtype=float)
    missing = np.isnan(array)
    if kind is FeatureType.INTEGER:
        array = np.where(missing, 0, array).astype(np.int64)
    return Column("x", kind, array, missing)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([0, 1], (0.0, 11.0)),
        ([-1, 1], (-21.0, 21.0)),
        ([100, 101], (90.0, 111.0)),
        ([5, np.nan, 5], (None, None)),
    ],
)
def test_the_range_is_ten_widths_wider_and_never_newly_negative(
    values: list[float], wanted: tuple[float | None, float | None]
) -> None:
    assert allowed_range(numbers(values)) == wanted


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30))
def test_every_value_of_the_sample_is_allowed(values: list[float]) -> None:
    minimum, maximum = allowed_range(numbers(values))
    assert minimum is None or minimum <= min(values)
    assert maximum is None or maximum >= max(values)


def test_what_is_imputed_occurs_in_the_sample() -> None:
    assert typical_value(numbers([5, 1, np.nan, 3, 9])) == 3.0
    assert typical_value(numbers([5, 1, 3, 9], FeatureType.INTEGER)) == 3
    strings = Column("s", FeatureType.STRING, np.array(["b", "a", "b", ""], dtype=object), np.array([0, 0, 0, 1], bool))
    assert typical_value(strings) == "b"
    booleans = Column("b", FeatureType.BOOLEAN, np.array([True, True, False]), np.zeros(3, bool))
    assert typical_value(booleans) is True


def test_the_signature_of_a_packed_model(packed: PackResult) -> None:
    signature = packed.signature
    assert [(t.name, t.datatype, t.shape) for t in signature.inputs] == [("input", Datatype.FP32, [-1, 3])]
    features = {feature.name: feature for feature in signature.features}
    assert [(f.tensor, f.column) for f in features.values()] == [("input", 0), ("input", 1), ("input", 2)]
    assert features["balance"].nullable
    assert not features["amount"].nullable
    assert features["age"].type is FeatureType.INTEGER
    assert features["amount"].minimum == 0.0


def test_a_signature_file_overrides_what_was_inferred(
    table: dict[str, Array], model: lightgbm.Booster, tmp_path: Path
) -> None:
    (tmp_path / "signature.yaml").write_text(
        "features:\n"
        "  amount: {minimum: 0, maximum: 5000, nullable: true}\n"
        "  age: {type: float, impute: 40, minimum: null}\n"
        "decision: {threshold: 0.25, labels: [ok, fraud]}\n"
    )
    result = pack_model(
        model, name="m", data=table, target="fraud", out=tmp_path, overrides=tmp_path / "signature.yaml"
    )
    features = {feature.name: feature for feature in open_bundle(result.path).signature.features}
    assert (features["amount"].minimum, features["amount"].maximum, features["amount"].nullable) == (0, 5000, True)
    assert (features["age"].type, features["age"].impute, features["age"].minimum) == (FeatureType.FLOAT, 40, None)
    assert result.signature.decision is not None
    assert result.signature.decision.threshold == 0.25
    assert result.signature.decision.labels == ["ok", "fraud"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"features": {"nope": {"minimum": 0}}}, "names a feature 'nope' that the model does not take"),
        ({"features": {"age": {"minimun": 0}}}, r"features\.age\.minimun: Extra inputs are not permitted"),
        ({"decision": {"labels": ["one"]}}, "the decision does not hold together"),
        ({"decision": {"score_column": 2}}, "score_column 2 is beyond the 2 of the output"),
        ({"decision": {"score_output": "zzz"}}, "score_output 'zzz' is not one of"),
    ],
)
def test_a_wrong_override_is_named(
    table: dict[str, Array], model: lightgbm.Booster, tmp_path: Path, overrides: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInputError, match=words):
        pack_model(model, name="m", data=table, target="fraud", out=tmp_path, overrides=overrides)
    assert list(tmp_path.iterdir()) == []


def test_a_signature_file_that_is_no_yaml_is_named(
    table: dict[str, Array], model: lightgbm.Booster, tmp_path: Path
) -> None:
    (tmp_path / "s.yaml").write_text("features: [")
    with pytest.raises(BadInputError, match=r"s\.yaml cannot be read"):
        pack_model(model, name="m", data=table, target="fraud", out=tmp_path, overrides=tmp_path / "s.yaml")


def test_the_threshold_flag_wins_over_the_default(
    table: dict[str, Array], model: lightgbm.Booster, tmp_path: Path
) -> None:
    result = pack_model(model, name="m", data=table, target="fraud", out=tmp_path, threshold=0.9)
    assert result.signature.decision is not None
    assert result.signature.decision.threshold == 0.9
