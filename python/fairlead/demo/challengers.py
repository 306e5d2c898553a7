"""What challenges the champion: one retrained model that is as good, and three that a rollout must not let through.

None of the three would be found by comparing files: each has the champion's signature, and is packed without complaint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.bundle import PackRequest, PackResult, pack
from fairlead.demo.material import Material
from fairlead.demo.options import Pace, Workplace
from fairlead.demo.prototype import Prototype, choose_threshold

MORE_TREES = 0.2
"""By how much the retrained model is larger."""
NEWEST = 1 / 3
"""Share of the training rows that its further trees learn from."""
REBALANCED_TREES = 60
LOOKED_UP = "category"
"""The feature that the faulty model looks up: a number that is never missing."""
ADDED = "added"
PRODUCTS, WIDTH = 4, 384
"""What the slow model multiplies for every batch: some ten milliseconds of one CPU."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the champion came from."""

    material: Material
    prototype: Prototype
    champion: PackResult
    sample: Path
    """What the champion was packed with; with the same, a challenger gets the same signature."""
    pace: Pace
    place: Workplace

    def pack(self, model: Any, **options: Any) -> PackResult:
        """Pack a challenger as the champion was packed."""
        request = {
            "source": model,
            "name": self.material.endpoint,
            "data": self.sample,
            "target": self.material.label_name,
            "out": self.place.bundles,
            "threshold": self.prototype.threshold,
        }
        return pack(PackRequest(**(request | options)))


def retrained(source: Source) -> PackResult:
    """Train the champion on, by a fifth of its trees on the newest third of its rows, and choose a threshold anew."""
    import lightgbm

    material, frame = source.material, source.material.features
    seen = material.validation
    train = material.train[-round(NEWEST * len(material.train)) :]
    data = lightgbm.Dataset(frame.iloc[train], material.labels[train], weight=material.weights[train])
    more = max(1, round(MORE_TREES * source.pace.trees))
    booster = lightgbm.train(
        _parameters(len(train)), data, num_boost_round=more, init_model=str(source.prototype.source)
    )
    scores = np.asarray(booster.predict(frame.iloc[seen]))
    threshold = choose_threshold(scores, material.labels[seen], material.weights[seen])
    return source.pack(_saved(booster, source, "retrained"), threshold=threshold)


def shifted(source: Source) -> PackResult:
    """Train on as many legitimate rows as there are frauds: a good ranking, but scores of another world."""
    import lightgbm

    material = source.material
    labels = material.labels[material.train]
    positive, negative = (material.train[labels == label] for label in (1, 0))
    few = np.random.default_rng(1).choice(negative, min(len(positive), len(negative)), replace=False)
    rows = np.sort(np.concatenate([positive, few]))
    data = lightgbm.Dataset(material.features.iloc[rows], material.labels[rows])
    booster = lightgbm.train(_parameters(len(rows)), data, num_boost_round=REBALANCED_TREES)
    return source.pack(_saved(booster, source, "rebalanced"))


def slower(source: Source) -> PackResult:
    """Put heavy arithmetic before the champion's model: the same answers, later."""
    from onnx import TensorProto, helper

    graph, rows, column = _graph(source)
    square = helper.make_tensor("value", TensorProto.FLOAT, [1], [1 / WIDTH])
    nodes = [
        helper.make_node("Gather", [rows, "column"], ["found"], axis=1),
        helper.make_node("ReduceMax", ["found"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "zero"], ["nothing"]),  # so that it cannot be worked out beforehand
        helper.make_node("ConstantOfShape", ["shape"], ["square"], value=square),
        helper.make_node("Add", ["square", "nothing"], ["product_0"]),
    ]
    nodes += [
        helper.make_node("MatMul", [f"product_{number}", "square"], [f"product_{number + 1}"])
        for number in range(PRODUCTS)
    ]
    nodes += [
        helper.make_node("ReduceMean", [f"product_{PRODUCTS}"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], [ADDED]),
    ]
    constants = {"column": np.array([column]), "zero": np.float32(0), "shape": np.array([WIDTH, WIDTH])}
    _put_before(graph, nodes, constants)
    return source.pack(_saved_graph(graph, source, "heavy"))


def faulty(source: Source) -> PackResult:
    """Put a table before the champion's model that lacks its newest entry: whoever needs that gets an error."""
    import pandas as pd
    from onnx import TensorProto, helper

    frame = pd.read_parquet(source.sample)
    newest = int(frame[LOOKED_UP].max())
    graph, rows, column = _graph(source)
    nodes = [
        helper.make_node("Gather", [rows, "column"], ["found"], axis=1),
        helper.make_node("Cast", ["found"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "place"], [ADDED], axis=0),
    ]
    _put_before(graph, nodes, {"column": np.array([column]), "table": np.zeros(newest, dtype=np.float32)})
    # It was tried on rows that are older than the entry.
    sample = source.place.prototype / "older.parquet"
    frame[frame[LOOKED_UP] < newest].to_parquet(sample, index=False)
    return source.pack(_saved_graph(graph, source, "looked-up"), data=sample)


def _graph(source: Source) -> tuple[Any, str, int]:
    """Return the champion's graph, the name of its input, and in which column of that `LOOKED_UP` is."""
    import onnx

    graph = onnx.load(source.champion.path / "model.onnx")
    names = [feature.name for feature in source.champion.signature.features]
    return graph, str(graph.graph.input[0].name), names.index(LOOKED_UP)


def _put_before(graph: Any, nodes: list[Any], constants: dict[str, Any]) -> None:
    """Run `nodes` first, and add what they call `ADDED` (zeros) to the graph's input: so the outputs need them."""
    from onnx import helper, numpy_helper

    body = graph.graph
    rows = body.input[0].name
    for node in body.node:
        node.input[:] = ["prepared" if given == rows else given for given in node.input]
    body.initializer.extend(numpy_helper.from_array(np.asarray(values), key) for key, values in constants.items())
    for place, node in enumerate([*nodes, helper.make_node("Add", [rows, ADDED], ["prepared"])]):
        body.node.insert(place, node)


def _saved_graph(graph: Any, source: Source, name: str) -> Path:
    import onnx

    path = source.place.prototype / f"{name}.onnx"
    onnx.save(graph, path)
    return path


def _parameters(rows: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "learning_rate": 0.05,
        "min_child_samples": min(50, max(5, rows // 200)),
        "num_threads": 1,
        "deterministic": True,
        "verbosity": -1,
        "seed": 1,
    }


def _saved(booster: Any, source: Source, name: str) -> Path:
    path = source.place.prototype / f"{name}.txt"
    booster.save_model(path)
    return path


@dataclass(frozen=True, slots=True)
class Challenger:
    """A model that is tried."""

    name: str
    what: str
    make: Callable[[Source], PackResult]
    fails_requests: bool = False


GOOD = Challenger("canary", "retrained, a fifth more trees", retrained)
FAULTS = (
    Challenger("errors", "a table lacks an entry: errors on some rows", faulty, fails_requests=True),
    Challenger("slower", "heavy arithmetic before the model: slower", slower),
    Challenger("shifted", "trained on a rebalanced sample: scores shifted", shifted),
)
