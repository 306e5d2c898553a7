"""Tree ensembles run without ONNX Runtime, and nobody can tell by the answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead.bundle import pack_model
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint

ROWS = 600
SEED = 20
FEATURES = [f"f{i}" for i in range(6)]
LAST_BIT = 2e-7
"""Sums have the same order and precision; exponentials may differ in their last bit."""


def table() -> Any:
    """Six numbers, one with gaps, and a target of each kind."""
    import pandas as pd

    random = np.random.default_rng(SEED)
    frame = pd.DataFrame({name: random.normal(size=ROWS).astype(np.float32) for name in FEATURES})
    drive = frame["f0"] + frame["f1"] ** 2 - frame["f4"]
    frame["yes"] = (drive + random.normal(size=ROWS) > 1).astype(int)
    frame["grade"] = np.array(["low", "mid", "high"])[np.digitize(drive, [0.0, 1.5])]
    frame["step"] = np.digitize(drive, [0.0, 1.5])
    frame["loss"] = drive * 10
    frame.loc[::7, "f1"] = np.nan
    return frame


def lightgbm(target: str, **parameters: Any) -> tuple[Any, str, bool]:
    import lightgbm as lgb

    frame = table()
    data = lgb.Dataset(frame[FEATURES], frame[target])
    return lgb.train({"verbose": -1, "num_threads": 1, **parameters}, data, 30), target, True


def xgboost(kind: str, target: str) -> tuple[Any, str, bool]:
    import xgboost as xgb

    frame = table()
    model = getattr(xgb, kind)(n_estimators=30, max_depth=5, n_jobs=1)
    return model.fit(frame[FEATURES], frame[target]), target, True


def sklearn(kind: str, target: str) -> tuple[Any, str, bool]:
    from sklearn import ensemble

    frame = table().fillna(0.0)
    size = {"max_iter": 20} if kind.startswith("Hist") else {"n_estimators": 20}
    model = getattr(ensemble, kind)(random_state=1, **size)
    return model.fit(frame[FEATURES], frame[target]), target, False


ENSEMBLES: dict[str, Callable[[], tuple[Any, str, bool]]] = {
    "lightgbm-binary": lambda: lightgbm("yes", objective="binary"),
    "lightgbm-lopsided": lambda: lightgbm("yes", objective="binary", num_leaves=60, min_data_in_leaf=1),
    "lightgbm-multiclass": lambda: lightgbm("step", objective="multiclass", num_class=3),
    "lightgbm-regression": lambda: lightgbm("loss", objective="regression"),
    "xgboost-binary": lambda: xgboost("XGBClassifier", "yes"),
    "xgboost-multiclass": lambda: xgboost("XGBClassifier", "step"),
    "xgboost-regression": lambda: xgboost("XGBRegressor", "loss"),
    "boosting-strings": lambda: sklearn("GradientBoostingClassifier", "grade"),
    "forest-binary": lambda: sklearn("RandomForestClassifier", "yes"),
    "forest-strings": lambda: sklearn("RandomForestClassifier", "grade"),
    "forest-regression": lambda: sklearn("RandomForestRegressor", "loss"),
    "extra-binary": lambda: sklearn("ExtraTreesClassifier", "yes"),
    "histogram-binary": lambda: sklearn("HistGradientBoostingClassifier", "yes"),
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("trees")
    packed = {}
    for name, train in ENSEMBLES.items():
        model, target, missing = train()
        frame = table()
        if not missing:
            frame = frame.fillna(0.0)
        data = frame[[*FEATURES, target]]
        packed[name] = pack_model(model, name=name, data=data, target=target, out=folder, engine="onnx").path
    return packed


@pytest.fixture(scope="module")
def server(serve_module: Serve, bundles: dict[str, Path]) -> Server:
    """Every ensemble twice: as it runs by itself, and by ONNX Runtime."""
    ours = [endpoint(name, bundle) for name, bundle in bundles.items()]
    theirs = [endpoint(f"{name}.onnx", bundle, native_trees=False) for name, bundle in bundles.items()]
    return serve_module(*ours, *theirs)


def rows(count: int) -> Any:
    frame = table()[FEATURES].sample(count, random_state=3, replace=True).reset_index(drop=True)
    return frame + np.random.default_rng(4).choice([0.0, 0.5, -3.0], (count, len(FEATURES)))


def outputs(server: Server, name: str, matrix: list[list[float | None]]) -> dict[str, list[Any]]:
    flat = [value for row in matrix for value in row]
    tensor = {"name": "input", "datatype": "FP32", "shape": [len(matrix), len(FEATURES)], "data": flat}
    response = server.http.post(f"/v2/models/{name}/infer", json={"inputs": [tensor]})
    assert response.status_code == 200, response.text
    return {output["name"]: output["data"] for output in response.json()["outputs"]}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", sorted(ENSEMBLES))
@pytest.mark.parametrize("count", [1, 2, 5, 8, 200])
def test_the_answers_are_those_of_onnx_runtime(server: Server, name: str, count: int) -> None:
    twin = f"{name}.onnx"
    platform = {which: server.http.get(f"/v2/models/{which}").json()["platform"] for which in (name, twin)}
    assert platform == {name: "fairlead_trees", twin: "onnxruntime_onnx"}
    frame = rows(count)
    if not name.startswith(("lightgbm", "xgboost")):
        frame = frame.fillna(0.0)
    matrix = [[None if np.isnan(value) else float(value) for value in row] for row in frame.to_numpy()]
    ours, theirs = outputs(server, name, matrix), outputs(server, twin, matrix)
    assert ours.keys() == theirs.keys()
    for output, expected in theirs.items():
        if output == "label":
            assert ours[output] == expected
        else:
            assert ours[output] == pytest.approx(expected, rel=LAST_BIT, abs=LAST_BIT)


def test_what_is_no_lone_ensemble_stays_with_onnx_runtime(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("pipeline", models.pipeline.bundle), endpoint("simple", models.simple.bundle))
    for name in ("pipeline", "simple"):
        assert server.http.get(f"/v2/models/{name}").json()["platform"] == "onnxruntime_onnx"
