"""Real models, packed once per session and only when a test asks for them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.bundle import open_bundle, pack_model
from tests.serverkit import graphs, moods
from tests.serverkit.forge import reforged, written

Record = dict[str, Any]
Frame = Mapping[str, NDArray[Any]]

ROWS = 400
SEED = 7
_COUNTRIES = np.array(["SE", "NO", "DK", "DE"])


@dataclass(frozen=True)
class Model:
    """A bundle, and rows of its sample: what it can be asked."""

    bundle: Path
    records: Sequence[Record] = ()

    @property
    def sha256(self) -> str:
        """The bundle's identity."""
        return (self.bundle / "DIGEST").read_text().strip()

    def scores(self, records: Sequence[Record]) -> list[float | None]:
        """Return the scores that the bundle gives outside the server."""
        return [answer.score for answer in open_bundle(self.bundle).predictor().predict(records)]


class Workshop:
    """Makes the models under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def binary(self) -> Model:
        """A LightGBM classifier of four numbers, one of which may be missing."""
        return self._lightgbm("binary", seed=SEED)

    @cached_property
    def successor(self) -> Model:
        """The classifier of `binary`, trained on other rows: the same signature, other answers."""
        return self._lightgbm("binary", seed=SEED + 1)

    @cached_property
    def pipeline(self) -> Model:
        """A scikit-learn pipeline of numbers and a text column."""
        from sklearn.compose import ColumnTransformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        frame, label = sample(SEED)
        mixed = {"amount": frame["amount"], "age": frame["age"], "country": _countries(len(label))}
        columns = ColumnTransformer([("n", StandardScaler(), ["amount", "age"]), ("c", OneHotEncoder(), ["country"])])
        model = make_pipeline(columns, LogisticRegression()).fit(_table(mixed), label)
        return self._packed(model, "pipeline", {**mixed, "target": label})

    @cached_property
    def visitors(self) -> Model:
        """A scikit-learn classifier of a number and a whole number, which may be any."""
        from sklearn.linear_model import LogisticRegression

        frame, label = sample(SEED)
        mixed = {"amount": frame["amount"], "visits": frame["visits"].astype(np.int64)}
        model = LogisticRegression(max_iter=2_000).fit(_table(mixed), label)
        free = {"visits": {"minimum": None, "maximum": None}}
        return self._packed(model, "visitors", {**mixed, "target": label}, overrides={"features": free})

    @cached_property
    def multiclass(self) -> Model:
        """A scikit-learn classifier of three named classes."""
        from sklearn.linear_model import LogisticRegression

        frame, _ = sample(SEED)
        numbers = {name: np.nan_to_num(values) for name, values in frame.items()}
        target = np.array(["low", "middle", "high"])[np.digitize(numbers["amount"], [30.0, 70.0])]
        model = LogisticRegression(max_iter=2_000).fit(_table(numbers), target)
        return self._packed(model, "multiclass", {**numbers, "target": target})

    @cached_property
    def regression(self) -> Model:
        """An XGBoost regression."""
        import xgboost

        frame, _ = sample(SEED)
        target = frame["amount"] * 2.0 + frame["age"]
        model = xgboost.XGBRegressor(n_estimators=20, max_depth=3, n_jobs=1).fit(_table(frame), target)
        return self._packed(model, "regression", {**frame, "target": target})

    @cached_property
    def simple(self) -> Model:
        """Sum and difference of two INT32 tensors of 16: the model that other servers' examples use."""
        rows = {name: [list(range(16))] * 8 for name in ("INPUT0", "INPUT1")}
        return self._packed(graphs.add_and_subtract(), "simple", rows, target=None)

    @cached_property
    def types(self) -> Model:
        """One input and one output of every datatype, two wide: what goes in comes out."""
        return self._graph("types", *graphs.identity_of_all_types(width=2))

    @cached_property
    def strings(self) -> Model:
        """Text in, the same text out, in tensors of variable width."""
        return self._graph("strings", *graphs.identity(("text", "BYTES", [-1, -1])))

    @cached_property
    def lookup(self) -> Model:
        """A table of ten numbers by index: any other index is an error of the model."""
        return self._graph("lookup", *graphs.lookup([float(value * value) for value in range(10)]))

    @cached_property
    def doubling(self) -> Model:
        """FP32 in, twice as much out: what overflows becomes infinite."""
        return self._graph("doubling", *graphs.doubling())

    @cached_property
    def gated(self) -> Model:
        """`moods` with one worker and a minute of patience: for holding batches at a gate."""
        return self._moody("gated", workers=1, timeout_ms=60_000)

    @cached_property
    def moody(self) -> Model:
        """`moods` with two workers."""
        return self._moody("moody", workers=2, timeout_ms=60_000)

    @cached_property
    def impatient(self) -> Model:
        """`moods` with two workers that have 300 ms for a batch."""
        return self._moody("impatient", workers=2, timeout_ms=300)

    @cached_property
    def confined(self) -> Model:
        """`moods` with two workers that may allocate 256 MB each."""
        return self._moody("confined", workers=2, timeout_ms=60_000, memory_mb=256)

    def _moody(self, name: str, **engine: Any) -> Model:
        code = self._folder / "code"
        code.mkdir(parents=True, exist_ok=True)
        (code / "moods.py").write_bytes(Path(str(moods.__file__)).read_bytes())
        sys.path.insert(0, str(code))
        try:
            free = {name: {"minimum": None, "maximum": None} for name in ("amount", "wish", "gate")}
            rows = {"amount": np.arange(8) / 2, "wish": np.zeros(8), "gate": np.zeros(8)}
            packed = self._packed("moods:answer", name, rows, target=None, overrides={"features": free})
        finally:
            sys.path.remove(str(code))
        return Model(reforged(packed.bundle, **engine), packed.records)

    def _lightgbm(self, name: str, seed: int) -> Model:
        import lightgbm

        frame, label = sample(seed)
        model = lightgbm.LGBMClassifier(n_estimators=20, num_leaves=7, n_jobs=1, random_state=seed, verbosity=-1)
        model.fit(_table(frame), label)
        return self._packed(model, name, {**frame, "target": label})

    def _packed(self, source: Any, name: str, rows: Mapping[str, Any], **options: Any) -> Model:
        table = _table(rows)
        target = options.pop("target", "target")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the libraries' remarks on themselves
            result = pack_model(source, name=name, data=table, target=target, out=self._folder, **options)
        columns = [column for column in table.columns if column != target]
        if not result.signature.features:
            return Model(result.path)
        plain = table[columns].astype(object).where(table[columns].notna(), None)
        return Model(result.path, plain.to_dict("records"))

    def _graph(self, name: str, graph: bytes, signature: Any) -> Model:
        return Model(written(self._folder, name, signature, graph))


def sample(seed: int) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.int64]]:
    """Return four columns of numbers, `income` missing here and there, and the labels that follow from them."""
    random = np.random.default_rng(seed)
    frame = {
        "amount": random.uniform(0.0, 100.0, ROWS).round(2),
        "age": random.integers(18, 90, ROWS).astype(np.float64),
        "income": random.uniform(1.0, 9.0, ROWS).round(3),
        "visits": random.integers(0, 30, ROWS).astype(np.float64),
    }
    label = (frame["amount"] + 5.0 * frame["income"] + random.normal(0.0, 20.0, ROWS) > 75.0).astype(np.int64)
    frame["income"][::7] = np.nan
    # Both ends of every range, so that rows of one seed are valid for a model of another.
    for column, (low, high) in {"amount": (0, 100), "age": (18, 90), "income": (1, 9), "visits": (0, 30)}.items():
        frame[column][1:3] = low, high
    return frame, label


def _countries(rows: int) -> NDArray[Any]:
    return _COUNTRIES[np.arange(rows) % len(_COUNTRIES)]


def _table(columns: Mapping[str, Any]) -> Any:
    import pandas as pd

    return pd.DataFrame(dict(columns))
