"""The model that every server runs: a seeded fraud-like data set, a LightGBM model of 200 trees, and its requests.

`python -m benchmarks.model` makes it and says where it lies.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.harness.layout import CACHE

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = 30
TREES = 200
DEPTH = 6
BODIES = 1_000
HEAVY_ROWS = 32
"""Rows in one of the heavier requests."""
_HEAVY_BODIES = 200
_TRAINING_ROWS = 30_000
_SAMPLE_ROWS = 5_000
_SEED = 20_180_401
NAMES = [*(f"v{i}" for i in range(1, COLUMNS - 1)), "amount", "hour"]

Matrix = "NDArray[np.float32]"


@dataclass(frozen=True, slots=True)
class Requests:
    """Prepared request bodies, one a line, and the positive class's probabilities that onnxruntime gives for each."""

    bodies: Path
    expected: list[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Workload:
    """Everything a server needs, and everything to check it with."""

    bundle: Path
    onnx: Path
    """The bundle's model file: what the peers run."""
    name: str
    single: Requests
    """One row each, as the Open Inference Protocol has it."""
    heavy: Requests
    """`HEAVY_ROWS` rows each."""
    rows: NDArray[np.float32]
    """The rows of `single`, for peers that speak a JSON of their own."""


def prepare() -> Workload:
    """Make (or find in the cache) data, model and requests; pack the model with `fairlead pack`."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    folder = CACHE / f"model-{key}"
    if not (folder / "model.txt").exists():
        _train(folder)
    bundle = pack(folder)
    engine = json.loads((bundle / "manifest.json").read_text())["engine"]
    if engine["kind"] != "onnx":
        raise RuntimeError(f"`fairlead pack` fell back to the {engine['kind']} engine; see `fairlead inspect {bundle}`")
    onnx = bundle / engine["file"]
    rows = np.load(folder / "rows.npy")
    heavy = [rows[np.arange(i, i + HEAVY_ROWS) % BODIES] for i in range(_HEAVY_BODIES)]
    return Workload(
        bundle=bundle,
        onnx=onnx,
        name="fraud",
        single=_requests(folder / "single.jsonl", onnx, [row[None] for row in rows]),
        heavy=_requests(folder / "heavy.jsonl", onnx, heavy),
        rows=rows,
    )


def pack(folder: Path) -> Path:
    """`fairlead pack`, as a user would; the bundle's folder."""
    out = folder / "bundles"
    shutil.rmtree(out, ignore_errors=True)
    argv = [sys.executable, "-m", "fairlead", "pack", str(folder / "model.txt"), "--name", "fraud"]
    argv += ["--data", str(folder / "sample.parquet"), "--target", "is_fraud", "--out", str(out)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    (bundle,) = out.glob("fraud-*")
    return bundle


def data(rows: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows like a card processor's: 28 components, an amount in cents, an hour; about one in sixty is fraud."""
    generator = np.random.default_rng(seed)
    components = generator.standard_normal((rows, COLUMNS - 2)) * np.linspace(2.0, 0.3, COLUMNS - 2)
    amount = np.round(np.exp(generator.normal(3.2, 1.4, rows)), 2)
    hour = generator.integers(0, 24, rows)
    night = (hour < 6).astype(np.float64)
    risk = 0.7 * components[:, 0] - 0.5 * components[:, 3] + 0.4 * components[:, 1] * components[:, 2]
    risk += 0.5 * (components[:, 9] > 1.5) + 0.35 * night * (np.log(amount) - 3) + 0.3 * components[:, 13] ** 2
    fraud = risk + generator.logistic(0, 0.7, rows) > 6.4
    table = np.column_stack([components, amount, hour]).astype(np.float32)
    return table, fraud.astype(np.int64)


def _train(folder: Path) -> None:
    import lightgbm
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, fraud = data(_TRAINING_ROWS, _SEED)
    parameters = {
        "objective": "binary", "max_depth": DEPTH, "num_leaves": 2**DEPTH - 1, "learning_rate": 0.05,
        "seed": 1, "deterministic": True, "force_col_wise": True, "verbose": -1,
    }  # fmt: skip
    training = lightgbm.Dataset(table, fraud, feature_name=NAMES)
    booster = lightgbm.train(parameters, training, num_boost_round=TREES)
    if booster.num_trees() != TREES:
        raise RuntimeError(f"{booster.num_trees()} trees instead of {TREES}")
    folder.mkdir(parents=True, exist_ok=True)
    fresh, label = data(_SAMPLE_ROWS, _SEED + 1)
    columns = {name: fresh[:, i] for i, name in enumerate(NAMES)} | {"is_fraud": label}
    pq.write_table(pa.table(columns), folder / "sample.parquet")
    np.save(folder / "rows.npy", fresh[:BODIES])
    booster.save_model(folder / "model.txt")


def _requests(path: Path, onnx: Path, tensors: list[NDArray[np.float32]]) -> Requests:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    path.write_text("".join(oip_body(name, tensor) + "\n" for tensor in tensors))
    expected = [session.run(["probabilities"], {name: tensor})[0][:, 1] for tensor in tensors]
    return Requests(path, expected)


def oip_body(name: str, tensor: NDArray[np.float32]) -> str:
    """An Open Inference Protocol request; each number is the shortest text that reads back as the same float32."""
    values = ",".join(str(value) for value in tensor.ravel())
    shape = f"[{tensor.shape[0]},{tensor.shape[1]}]"
    return f'{{"inputs":[{{"name":"{name}","shape":{shape},"datatype":"FP32","data":[{values}]}}]}}'


if __name__ == "__main__":
    print(prepare().bundle)
