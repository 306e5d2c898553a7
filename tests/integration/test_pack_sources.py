"""Every kind of SOURCE, with a model that was really trained: parity, decisions, and equal bundles for equal inputs.

`PROTOTYPES` is also imported by the programs of the determinism test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead.bundle import PackResult, open_bundle, pack_model, verify
from fairlead.bundle.sample import read_sample
from fairlead.errors import BadInputError, BundleError, ConversionError
from fairlead.schema.signature import Datatype, Task

ROWS = 500
CONVERSION = 5e-6
"""What float32 sums of some dozen trees may differ from doubles; a thousand times less than a wrong branch."""
NUMBERS = ["amount", "age", "balance"]
ALL = [*NUMBERS, "country", "online"]


def frame() -> Any:
    """A payments table with gaps in numbers and strings, and three targets."""
    import pandas as pd

    random = np.random.default_rng(11)
    table = pd.DataFrame(
        {
            "amount": np.round(random.exponential(50, ROWS), 2),
            "age": random.integers(18, 90, ROWS),
            "balance": random.normal(size=ROWS).astype(np.float32).astype(float),
            "country": random.choice(["de", "fr", "us"], ROWS).astype(object),
            "online": random.random(ROWS) < 0.5,
        }
    )
    drive = table["amount"] / 50 + (table["country"] == "us") * 1.5 + table["online"] + table["balance"]
    table["fraud"] = (drive > 2.5).astype(int)
    table["grade"] = np.array(["low", "mid", "high"])[np.digitize(drive, [1.0, 3.0])]
    table["loss"] = drive * 10
    table.loc[::7, "balance"] = np.nan
    table.loc[::9, "country"] = np.nan
    return table


@dataclass(frozen=True)
class Prototype:
    """A trained model, the sample it is packed with, and its own answers to it."""

    model: Any
    data: Any
    target: str | None
    expected: Any


def columns_of(table: Any, *, missing: bool) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    text: Any = OneHotEncoder(handle_unknown="ignore")
    if missing:
        text = make_pipeline(SimpleImputer(strategy="most_frequent"), text)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_column_transformer((text, ["country"]), (numbers, NUMBERS), ("passthrough", ["online"]))


def pipeline(final: Any, target: str, *, missing: bool = True) -> Prototype:
    from sklearn.pipeline import make_pipeline

    table = frame()
    model = make_pipeline(columns_of(table, missing=missing), final).fit(table[ALL], table[target])
    answers = model.predict_proba if hasattr(model, "predict_proba") else model.predict
    return Prototype(model, table[[*ALL, target]], target, answers(table[ALL]))


def sklearn_strings() -> Prototype:
    from sklearn.linear_model import LogisticRegression

    return pipeline(LogisticRegression(), "fraud")


def sklearn_missing_category() -> Prototype:
    from sklearn.linear_model import LogisticRegression

    return pipeline(LogisticRegression(), "fraud", missing=False)


def sklearn_multiclass() -> Prototype:
    from sklearn.linear_model import LogisticRegression

    return pipeline(LogisticRegression(max_iter=1000), "grade")


def sklearn_regression() -> Prototype:
    from sklearn.linear_model import Ridge

    return pipeline(Ridge(), "loss")


def on_numbers(model: Any, target: str) -> Prototype:
    table = frame()
    model.fit(table[NUMBERS], table[target])
    answers = model.predict_proba if hasattr(model, "predict_proba") else model.predict
    return Prototype(model, table, target, answers(table[NUMBERS]))


def sklearn_histogram_boosting() -> Prototype:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return on_numbers(HistGradientBoostingClassifier(max_iter=10, random_state=0), "fraud")


def sklearn_without_probabilities() -> Prototype:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    table = frame()
    model = make_pipeline(SimpleImputer(), StandardScaler(), LinearSVC(random_state=0))
    model.fit(table[NUMBERS], table["fraud"])
    return Prototype(model, table, "fraud", model.decision_function(table[NUMBERS]))


def sklearn_pickle() -> Prototype:
    from sklearn.ensemble import IsolationForest

    table = frame()[["amount", "age"]]
    model = IsolationForest(n_estimators=5, random_state=0).fit(table)
    return Prototype(model, table, None, model.decision_function(table))


def lightgbm_model(kind: str, **options: Any) -> Any:
    import lightgbm

    fixed = {"n_estimators": 20, "num_leaves": 7, "verbose": -1, "n_jobs": 1, "random_state": 0}
    return getattr(lightgbm, kind)(**fixed | options)


def lightgbm_numbers() -> Prototype:
    return on_numbers(lightgbm_model("LGBMClassifier"), "fraud")


def lightgbm_categories() -> Prototype:
    table = frame()
    table["country"] = table["country"].astype("category")
    model = lightgbm_model("LGBMClassifier", min_child_samples=5).fit(table[ALL], table["fraud"])
    return Prototype(model, table[[*ALL, "fraud"]], "fraud", model.predict_proba(table[ALL]))


def lightgbm_multiclass() -> Prototype:
    return on_numbers(lightgbm_model("LGBMClassifier"), "grade")


def lightgbm_regression() -> Prototype:
    return on_numbers(lightgbm_model("LGBMRegressor"), "loss")


def lightgbm_forest() -> Prototype:
    options = {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}
    return on_numbers(lightgbm_model("LGBMClassifier", **options), "fraud")


def xgboost_model(kind: str, **options: Any) -> Any:
    import xgboost

    return getattr(xgboost, kind)(**{"n_estimators": 10, "max_depth": 4, "n_jobs": 1} | options)


def xgboost_numbers() -> Prototype:
    return on_numbers(xgboost_model("XGBClassifier"), "fraud")


def xgboost_categories() -> Prototype:
    table = frame()
    table["country"] = table["country"].astype("category")
    model = xgboost_model("XGBClassifier", enable_categorical=True).fit(table[ALL], table["fraud"])
    return Prototype(model, table[[*ALL, "fraud"]], "fraud", model.predict_proba(table[ALL]))


def xgboost_regression() -> Prototype:
    return on_numbers(xgboost_model("XGBRegressor"), "loss")


def xgboost_booster() -> Prototype:
    """Has a base score of its own, which a converter may forget."""
    import xgboost

    table = frame()
    rows = xgboost.DMatrix(table[NUMBERS], table["fraud"])
    model = xgboost.train({"objective": "binary:logistic", "base_score": 0.1, "nthread": 1}, rows, 10)
    positive = model.predict(rows)
    return Prototype(model, table, "fraud", np.column_stack([1 - positive, positive]))


def xgboost_softmax() -> Prototype:
    import xgboost

    table = frame()
    table["class"] = table["grade"].map({"low": 0, "mid": 1, "high": 2})
    rows = xgboost.DMatrix(table[NUMBERS], table["class"])
    options = {"objective": "multi:softmax", "num_class": 3, "nthread": 1}
    model = xgboost.train(options, rows, 10)
    same = xgboost.train(options | {"objective": "multi:softprob"}, rows, 10)
    return Prototype(model, table, "class", same.predict(rows))


def xgboost_after_sparse_columns() -> Prototype:
    """One-hot columns come sparse, where XGBoost reads a zero as missing; a graph has no sparse columns."""
    return pipeline(xgboost_model("XGBClassifier"), "fraud")


PROTOTYPES: dict[str, Callable[[], Prototype]] = {
    function.__name__: function
    for function in (
        sklearn_strings,
        sklearn_missing_category,
        sklearn_multiclass,
        sklearn_regression,
        sklearn_histogram_boosting,
        sklearn_without_probabilities,
        sklearn_pickle,
        lightgbm_numbers,
        lightgbm_categories,
        lightgbm_multiclass,
        lightgbm_regression,
        lightgbm_forest,
        xgboost_numbers,
        xgboost_categories,
        xgboost_regression,
        xgboost_booster,
        xgboost_softmax,
        xgboost_after_sparse_columns,
    )
}
FALLBACKS = {
    "lightgbm_forest": "the converted model's scores differ by up to",
    "xgboost_after_sparse_columns": "the converted model's scores differ by up to",
    "sklearn_without_probabilities": "has no predict_proba",
    "sklearn_pickle": "is neither a classifier nor a regressor",
}
UNTRUSTED = {"sklearn_pickle", "xgboost_after_sparse_columns"}
TASKS = {
    "sklearn_multiclass": (Task.MULTICLASS, None, ["high", "low", "mid"]),
    "lightgbm_multiclass": (Task.MULTICLASS, None, ["high", "low", "mid"]),
    "xgboost_softmax": (Task.MULTICLASS, None, [0, 1, 2]),
    "sklearn_regression": (Task.REGRESSION, None, []),
    "lightgbm_regression": (Task.REGRESSION, None, []),
    "xgboost_regression": (Task.REGRESSION, None, []),
    "sklearn_pickle": (Task.REGRESSION, None, []),
    "sklearn_without_probabilities": (Task.BINARY, 0.0, [0, 1]),
}


def pack(prototype: Prototype, out: Path, **options: Any) -> PackResult:
    return pack_model(prototype.model, name="m", data=prototype.data, target=prototype.target, out=out, **options)


def answers(result: PackResult, data: Any) -> np.ndarray:
    """The bundle's scores for every row of the sample, from the bundle's files."""
    bundle = open_bundle(result.path)
    predictor = bundle.predictor(trust_pickle=bundle.manifest.requires_trust)
    decision = bundle.signature.decision
    assert decision is not None
    return predictor.infer_columns(read_sample(data).columns)[decision.score_output]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", sorted(PROTOTYPES))
def test_the_bundle_answers_as_the_original_and_reports_the_difference(name: str, tmp_path: Path) -> None:
    prototype = PROTOTYPES[name]()
    result = pack(prototype, tmp_path)
    assert verify(result.path) == []

    scores = answers(result, prototype.data).astype(float)
    expected = np.asarray(prototype.expected, dtype=float).reshape(scores.shape)
    scale = max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(scores - expected).max())
    assert difference <= CONVERSION * scale

    report, checks = result.checks.parity, result.checks
    if name in FALLBACKS:
        assert result.manifest.engine.kind == "python"
        assert checks.fallback is not None
        assert FALLBACKS[name] in checks.fallback
        assert report is None or not report.passed
    else:
        assert result.manifest.engine.kind == "onnx"
        assert checks.fallback is None
        assert report is not None
        assert report.passed
        assert report.rows == ROWS
        assert report.largest_difference == pytest.approx(difference, rel=1e-3, abs=1e-9)
        assert report.changed_decisions == 0
    assert result.manifest.requires_trust is (name in UNTRUSTED)

    task, threshold, labels = TASKS.get(name, (Task.BINARY, 0.5, [0, 1]))
    decision = result.signature.decision
    assert decision is not None
    assert (decision.task, decision.threshold, decision.labels) == (task, threshold, labels)
    if task is Task.BINARY and decision.score_output == "probabilities":
        assert decision.score_column == 1


@pytest.mark.parametrize("name", ["lightgbm_numbers", "sklearn_strings"])
def test_the_golden_rows_have_the_answers_that_the_model_gives(name: str, tmp_path: Path) -> None:
    prototype = PROTOTYPES[name]()
    bundle = open_bundle(pack(prototype, tmp_path).path)
    golden = bundle.golden()
    assert len(golden.rows) == 32
    assert any(None in row.values() for row in golden.rows)
    found = bundle.predictor().predict(golden.rows)
    for tensor in golden.outputs:
        values = np.array([answer.outputs[tensor.name] for answer in found]).reshape(-1)
        assert values.tolist() == tensor.data


def test_the_graph_of_a_pipeline_has_one_tensor_per_column(tmp_path: Path) -> None:
    signature = pack(sklearn_strings(), tmp_path).signature
    assert [(t.name, t.datatype, t.shape) for t in signature.inputs] == [
        ("amount", Datatype.FP32, [-1, 1]),
        ("age", Datatype.INT64, [-1, 1]),
        ("balance", Datatype.FP32, [-1, 1]),
        ("country", Datatype.BYTES, [-1, 1]),
        ("online", Datatype.BOOL, [-1, 1]),
    ]
    assert [(t.name, t.datatype, t.shape) for t in signature.outputs] == [
        ("label", Datatype.INT64, [-1]),
        ("probabilities", Datatype.FP32, [-1, 2]),
    ]


def test_values_on_both_sides_of_a_split_that_nearest_rounding_would_mix_up(tmp_path: Path) -> None:
    """Large float32 values have no value between two neighbours: thresholds must be rounded down, not to nearest."""
    import lightgbm

    random = np.random.default_rng(3)
    values = (1e6 + random.normal(size=2000)).astype(np.float32).astype(float)
    target = (values - 1e6 + random.normal(size=2000) * 0.2 > 0).astype(int)
    options = {"objective": "binary", "verbose": -1, "num_threads": 1, "max_bin": 1023, "min_data_in_leaf": 5}
    model = lightgbm.train(options, lightgbm.Dataset(values[:, None], target), 20)
    result = pack_model(model, name="m", data={"x": values, "y": target}, target="y", out=tmp_path)
    assert result.checks.fallback is None
    assert result.checks.parity is not None
    assert result.checks.parity.largest_difference <= CONVERSION


def test_a_tolerance_that_float32_cannot_keep_makes_the_python_engine_run_it(tmp_path: Path) -> None:
    result = pack(lightgbm_numbers(), tmp_path, tolerance=0.0)
    assert result.manifest.engine.kind == "python"
    assert result.checks.fallback is not None
    assert "more than the tolerance of 0" in result.checks.fallback
    assert result.checks.parity is not None
    assert not result.checks.parity.passed


def test_the_demand_for_onnx_fails_where_parity_does(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="more than the tolerance"):
        pack(lightgbm_numbers(), tmp_path, tolerance=0.0, engine="onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(60)
def test_the_python_engine_takes_doubles_and_is_exact(tmp_path: Path) -> None:
    prototype = lightgbm_categories()
    result = pack(prototype, tmp_path, engine="python")
    assert result.checks.parity is None
    assert result.checks.fallback is None
    assert {t.datatype for t in result.signature.inputs} == {
        Datatype.FP64,
        Datatype.INT64,
        Datatype.BOOL,
        Datatype.BYTES,
    }
    np.testing.assert_array_equal(answers(result, prototype.data), prototype.expected.astype(np.float32))


# ---------------------------------------------------------------- files
def saved(prototype: Prototype, path: Path) -> Path:
    import joblib
    import skops.io

    writers: dict[str, Callable[[], object]] = {
        ".txt": lambda: prototype.model.booster_.save_model(path),
        ".json": lambda: prototype.model.save_model(path),
        ".ubj": lambda: prototype.model.save_model(path),
        ".skops": lambda: skops.io.dump(prototype.model, path),
        ".joblib": lambda: joblib.dump(prototype.model, path),
    }
    writers[path.suffix]()
    return path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("lightgbm_numbers", "model.txt"),
        ("xgboost_numbers", "model.json"),
        ("xgboost_booster", "model.ubj"),
        ("sklearn_strings", "model.skops"),
        ("sklearn_strings", "model.joblib"),
    ],
)
def test_a_model_file_answers_as_the_model_that_was_saved(name: str, file: str, tmp_path: Path) -> None:
    prototype = PROTOTYPES[name]()
    path = saved(prototype, tmp_path / file)
    data = tmp_path / "sample.parquet"
    prototype.data.to_parquet(data)
    result = pack_model(
        path, name="m", data=data, target=prototype.target, out=tmp_path / "out", trust_pickle=path.suffix == ".joblib"
    )
    assert result.manifest.engine.kind == "onnx"
    assert open_bundle(result.path).lineage.source == file
    np.testing.assert_allclose(answers(result, data), prototype.expected, atol=CONVERSION)


def test_a_pickle_needs_trust(tmp_path: Path) -> None:
    path = saved(sklearn_strings(), tmp_path / "model.joblib")
    with pytest.raises(BadInputError, match=r"model\.joblib is a pickle: loading it can run any code"):
        pack_model(path, name="m", data=frame(), target="fraud", out=tmp_path)


@pytest.mark.parametrize("file", ["m.txt", "m.json", "m.ubj", "m.onnx", "m.skops", "m.pkl"])
@pytest.mark.parametrize("content", [b"", b"not a model\n", b"\x00\xff\xfe" * 50, b"tree\nversion=v4\n"])
def test_a_file_that_is_not_a_model_is_named(file: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(BadInputError, match=file.replace(".", r"\.")):
        pack_model(tmp_path / file, name="m", data=frame(), target="fraud", out=tmp_path / "out", trust_pickle=True)


def test_a_source_that_is_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no model file"):
        pack_model("missing.txt", name="m", data=frame(), out=tmp_path)
    (tmp_path / "m.h5").write_bytes(b"")
    with pytest.raises(BadInputError, match="not a kind of model file"):
        pack_model(tmp_path / "m.h5", name="m", data=frame(), out=tmp_path)
    with pytest.raises(BadInputError, match="is a int: not a model"):
        pack_model(5, name="m", data=frame(), out=tmp_path)


def test_an_estimator_that_was_not_trained_is_refused(tmp_path: Path) -> None:
    from sklearn.linear_model import Ridge

    with pytest.raises(BadInputError, match="the Ridge is not fitted"):
        pack_model(Ridge(), name="m", data=frame(), out=tmp_path)
    with pytest.raises(BadInputError, match="the LGBMClassifier has not been fitted"):
        pack_model(lightgbm_model("LGBMClassifier"), name="m", data=frame(), out=tmp_path)
    with pytest.raises(BadInputError, match="the XGBClassifier has not been fitted"):
        pack_model(xgboost_model("XGBClassifier"), name="m", data=frame(), out=tmp_path)


def test_strings_where_the_model_has_numbers_are_refused(tmp_path: Path) -> None:
    prototype = lightgbm_numbers()
    with pytest.raises(BadInputError, match="column 'country' holds strings, but the model was trained on numbers"):
        pack(prototype, tmp_path, features=["amount", "age", "country"])


# ---------------------------------------------------------------- ONNX
def logistic_graph(path: Path, *, zipmap: bool, rows: int | None) -> Any:
    """A graph as others make it: with a list of dicts as output, or with a fixed batch."""
    import onnx
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.linear_model import LogisticRegression

    table = frame()
    model = LogisticRegression(max_iter=1000).fit(table[["amount", "age"]].to_numpy(), table["fraud"])
    graph = convert_sklearn(
        model,
        initial_types=[("x", FloatTensorType([rows, 2]))],
        options={id(model): {"zipmap": zipmap}},
        target_opset={"": 15, "ai.onnx.ml": 3},
    )
    onnx.save(graph, path)
    return model.predict_proba(table[["amount", "age"]].to_numpy())


@pytest.mark.parametrize(("zipmap", "rows"), [(True, None), (False, 1), (False, None)])
def test_an_onnx_file_is_taken_as_it_is_but_for_zipmap_and_batch(
    zipmap: bool, rows: int | None, tmp_path: Path
) -> None:
    expected = logistic_graph(tmp_path / "m.onnx", zipmap=zipmap, rows=rows)
    data = frame()[["amount", "age", "fraud"]]
    result = pack_model(tmp_path / "m.onnx", name="m", data=data, target="fraud", out=tmp_path / "out")
    assert result.checks.parity is None
    assert [(t.name, t.shape) for t in result.signature.inputs] == [("x", [-1, 2])]
    decision = result.signature.decision
    assert decision is not None
    assert (decision.task, decision.score_column, decision.labels) == (Task.BINARY, 1, [0, 1])
    np.testing.assert_allclose(answers(result, data), expected, atol=CONVERSION)


def network(path: Path, shape: list[int | str]) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(5).normal(size=(12, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
        ],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [shape[0], 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=9), path)


def test_a_graph_of_tensors_takes_a_list_column_and_has_golden_tensors(tmp_path: Path) -> None:
    network(tmp_path / "n.onnx", [1, 3, 2, 2])
    random = np.random.default_rng(6)
    data = {"image": random.normal(size=(50, 3, 2, 2)), "kind": random.choice(["a", "b", "c"], 50)}
    result = pack_model(tmp_path / "n.onnx", name="m", data=data, target="kind", out=tmp_path / "out")
    bundle = open_bundle(result.path)
    assert bundle.signature.features == []
    assert bundle.signature.inputs[0].shape == [-1, 3, 2, 2]
    assert bundle.signature.decision is not None
    assert bundle.signature.decision.labels == ["a", "b", "c"]
    golden = bundle.golden()
    assert golden.rows == []
    image = np.array(golden.tensors[0].data, dtype=np.float32).reshape(golden.tensors[0].shape)
    found = bundle.predictor().infer({"image": image})["scores"]
    assert found.reshape(-1).tolist() == golden.outputs[0].data


def test_a_graph_whose_input_no_column_fills_is_refused(tmp_path: Path) -> None:
    network(tmp_path / "n.onnx", ["n", 3, 2, 2])
    with pytest.raises(BadInputError, match=r"input 'image' has shape \[-1, 3, 2, 2\]"):
        pack_model(tmp_path / "n.onnx", name="m", data={"a": np.arange(4.0)}, out=tmp_path / "out")
    with pytest.raises(BadInputError, match="list column 'image' has 5 values per row"):
        pack_model(tmp_path / "n.onnx", name="m", data={"image": np.ones((4, 5))}, out=tmp_path / "out")


# ---------------------------------------------------------------- Python functions
@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with modules, as a user has it, where the command is run."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


DATA = {"amount": np.linspace(0, 100, 40), "country": np.array(["de", None] * 20, dtype=object)}


@pytest.mark.timeout(60)
def test_a_function_brings_the_modules_beside_it_along(project: Path, tmp_path: Path) -> None:
    (project / "scale_of.py").write_text("SCALE = 100\n")
    (project / "scoring.py").write_text(
        "import scale_of\n\n\ndef score(batch):\n    return batch['amount'] / scale_of.SCALE\n"
    )
    (project / "unrelated.py").write_text("raise RuntimeError\n")
    truth = {**DATA, "fraud": (DATA["amount"] > 50).astype(int)}
    result = pack_model("scoring:score", name="m", data=truth, target="fraud", out=tmp_path / "out")
    assert sorted(path.name for path in (result.path / "code").iterdir()) == ["scale_of.py", "scoring.py"]
    decision = result.signature.decision
    assert decision is not None
    assert (decision.task, decision.threshold, decision.labels) == (Task.BINARY, 0.5, [0, 1])
    found = open_bundle(result.path).predictor().predict([{"amount": 70.0, "country": None}])
    assert (found[0].score, found[0].decision) == (0.7, 1)


@pytest.mark.timeout(60)
def test_a_package_is_brought_along_whole(project: Path, tmp_path: Path) -> None:
    (project / "shop").mkdir()
    (project / "shop" / "__init__.py").write_text("")
    (project / "shop" / "weights.json").write_text("[0.5]")
    (project / "shop" / "model.py").write_text(
        "import json\nfrom pathlib import Path\n\n"
        "W = json.loads((Path(__file__).parent / 'weights.json').read_text())\n\n\n"
        "def score(batch):\n    return {'score': batch['amount'] * W[0]}\n"
    )
    result = pack_model("shop.model:score", name="m", data=DATA, out=tmp_path / "out")
    assert [t.name for t in result.signature.outputs] == ["score"]
    predictor = open_bundle(result.path).predictor()
    assert predictor.predict([{"amount": 3.0, "country": "de"}])[0].outputs == {"score": 1.5}


@pytest.mark.timeout(60)
def test_two_bundles_with_modules_of_one_name_do_not_mix(project: Path, tmp_path: Path) -> None:
    module = project / "scoring.py"
    paths = []
    for factor in (1, 2):
        module.write_text(
            "def score(batch):\n    import scoring\n    return batch['amount'] * scoring.FACTOR\n\n\n"
            f"FACTOR = {factor}\n"
        )
        sys.modules.pop("scoring", None)
        paths.append(pack_model("scoring:score", name="m", data=DATA, out=tmp_path / "out").path)
    predictors = [open_bundle(path).predictor() for path in paths]
    for predictor, factor in [*zip(predictors, (1, 2), strict=True), (predictors[0], 1)]:
        assert predictor.predict([{"amount": 3.0, "country": "de"}])[0].score == 3.0 * factor
    assert [finding for path in paths for finding in verify(path)] == []


@pytest.mark.timeout(60)
def test_what_works_only_here_fails_before_the_bundle_gets_its_name(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "elsewhere.py").write_text("ONE = 1\n")
    monkeypatch.setattr(sys, "path", [str(hidden), *sys.path])
    (project / "scoring.py").write_text(
        "import elsewhere\n\n\ndef score(batch):\n    return batch['amount'] * elsewhere.ONE\n"
    )
    with pytest.raises(BundleError, match=r"does not load in a fresh process: .*ModuleNotFoundError"):
        pack_model("scoring:score", name="m", data=DATA, out=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 1 / 0", "the model does not take the sample: ZeroDivisionError: division by zero"),
        ("return batch['nope']", "KeyError: 'nope'"),
        ("return 5", "output 'prediction' has a scalar for a batch of 40"),
        ("return batch['amount'][:3]", "output 'prediction' has 3 rows for a batch of 40"),
        ("return batch['amount'] / 0", "output 'prediction' is not a finite number in sample row 0"),
        ("return {}", "the model gave no output"),
    ],
)
def test_a_function_that_does_not_answer_the_sample_is_refused(
    project: Path, tmp_path: Path, body: str, words: str
) -> None:
    (project / "scoring.py").write_text(
        f"import numpy as np\n\nnp.seterr(all='ignore')\n\n\ndef score(batch):\n    {body}\n"
    )
    with np.errstate(all="ignore"), pytest.raises((BadInputError, BundleError), match=words):
        pack_model("scoring:score", name="m", data=DATA, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("nowhere:score", "nowhere:score cannot be imported: ModuleNotFoundError"),
        ("broken:score", "broken:score cannot be imported: SyntaxError"),
        ("good:nope", "good:nope cannot be imported: AttributeError"),
        ("good:VALUE", "good:VALUE is a int: not a model"),
        ("math:sqrt", "module 'math' has no Python source file"),
        ("json:dumps", "module 'json' is an installed library"),
    ],
)
def test_an_entry_that_is_no_model_of_yours_is_named(project: Path, tmp_path: Path, entry: str, words: str) -> None:
    (project / "broken.py").write_text("def score(:\n")
    (project / "good.py").write_text("VALUE = 5\n")
    with pytest.raises(BadInputError, match=words):
        pack_model(entry, name="m", data=DATA, out=tmp_path / "out")


def test_a_function_of_no_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be found again by a server"):
        pack_model(lambda batch: batch["amount"], name="m", data=DATA, out=tmp_path / "out")


def test_an_estimator_of_a_module_is_packed_by_its_entry(project: Path, tmp_path: Path) -> None:
    (project / "trained.py").write_text(
        "import numpy as np\nfrom sklearn.linear_model import LinearRegression\n\n"
        "MODEL = LinearRegression().fit(np.arange(10.0)[:, None], np.arange(10.0) * 2)\n"
    )
    result = pack_model("trained:MODEL", name="m", data={"x": np.arange(5.0)}, out=tmp_path / "out")
    assert result.manifest.engine.kind == "onnx"
    assert open_bundle(result.path).lineage.source == "trained:MODEL"
    assert open_bundle(result.path).predictor().predict([{"x": 3.0}])[0].score == pytest.approx(6.0)


# ---------------------------------------------------------------- equal inputs, equal bundles
PROGRAM = """
import json, sys, warnings

warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[2])
import test_pack_sources as sources

result = sources.pack(sources.PROTOTYPES[sys.argv[1]](), "out")
print(json.dumps({"sha256": result.sha256, "engine": result.manifest.engine.model_dump(mode="json")}))
"""


def packed_elsewhere(folder: Path, name: str, seed: str) -> dict[str, Any]:
    folder.mkdir(parents=True)
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, str(here)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(here.parents[1] / "python"), "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("lightgbm_categories", "model.onnx"),
        ("sklearn_strings", "model.onnx"),
        ("xgboost_numbers", "model.onnx"),
        ("sklearn_without_probabilities", "model.skops"),
        ("sklearn_pickle", "model.pkl"),
    ],
)
def test_two_processes_in_two_folders_make_the_same_bundle(tmp_path: Path, name: str, file: str) -> None:
    first = packed_elsewhere(tmp_path / "one", name, "1")
    second = packed_elsewhere(tmp_path / "another" / "place", name, "2")
    assert first == second
    assert first["engine"]["file"] == file


def test_packing_again_finds_the_bundle_that_is_there_and_mends_a_broken_one(tmp_path: Path) -> None:
    prototype = lightgbm_numbers()
    first = pack(prototype, tmp_path)
    written = (first.path / "model.onnx").stat().st_mtime_ns
    assert pack(prototype, tmp_path).path == first.path
    assert (first.path / "model.onnx").stat().st_mtime_ns == written
    (first.path / "model.onnx").write_bytes(b"broken")
    assert verify(pack(prototype, tmp_path).path) == []
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]
