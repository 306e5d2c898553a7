"""The wheel, in an empty environment with nothing but what it asks for: it installs, packs, serves and logs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.serverkit.waiting import until

ROOT = Path(__file__).parents[2]
SCORING = """
import numpy as np

def predict(batch):
    return 1 / (1 + np.exp(4.0 - batch["amount"] / 100))
"""
SAMPLE = "amount,is_fraud\n" + "".join(f"{i * 5}.5,{int(i > 150)}\n" for i in range(200))
LIGHTGBM = """
import lightgbm, numpy
rows = numpy.loadtxt("sample.csv", delimiter=",", skiprows=1)
data = lightgbm.Dataset(rows[:, :1], rows[:, 1], feature_name=["amount"])
lightgbm.train({"objective": "binary", "verbose": -1}, data, 5).save_model("model.txt")
"""

pytestmark = pytest.mark.timeout(900)  # the first build compiles every crate


def run(*command: str | Path, folder: Path) -> str:
    """Run to the end, fail with its words, and return its stdout."""
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `make wheel` builds it; what the editable install compiled is used again."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "maturin", "build", "--release", "--out", out, folder=ROOT)
    [built] = out.glob("*.whl")
    return Path(built)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a fresh environment that has the wheel and its base dependencies."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    run(sys.executable, "-m", "venv", environment, folder=ROOT)
    run(environment / "bin" / "python", "-m", "pip", "install", "--quiet", wheel, folder=environment)
    return environment / "bin"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder far from the sources, with a sample and a model."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "scoring.py").write_text(SCORING)
    (folder / "sample.csv").write_text(SAMPLE)
    run(sys.executable, "-c", LIGHTGBM, folder=folder)
    return folder


def test_the_wheel_is_for_every_python_from_3_11(wheel: Path) -> None:
    assert re.fullmatch(r"fairlead-[\d.]+-cp311-abi3-(many)?linux\w+\.whl", wheel.name)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"fairlead"}
    assert {"fairlead/py.typed", "fairlead/_core.pyi", "fairlead/_core.abi3.so"} <= set(names)
    assert not [name for name in names if "test" in name or name.endswith((".pyc", ".rs"))]
    assert [name for name in names if name.endswith("licenses/LICENSE")]


def test_it_tells_its_version(installed: Path, work: Path) -> None:
    assert run(installed / "fairlead", "--version", folder=work) == f"fairlead {version('fairlead')}\n"


def test_it_has_no_library_that_trains_or_converts(installed: Path, work: Path) -> None:
    packages = json.loads(run(installed / "python", "-m", "pip", "list", "--format", "json", folder=work))
    names = {package["name"].lower() for package in packages}
    assert "fairlead" in names
    assert not names & {"lightgbm", "xgboost", "scikit-learn", "onnx", "skl2onnx", "pandas"}


@pytest.fixture(params=["onnx", "python"])
def bundle(request: pytest.FixtureRequest, installed: Path, work: Path) -> Path:
    """A LightGBM model packed by the development environment, and a function packed by the wheel."""
    kind = request.param
    source, fairlead = {
        "onnx": ("model.txt", [sys.executable, "-m", "fairlead"]),
        "python": ("scoring:predict", [str(installed / "fairlead")]),
    }[kind]
    out = work / kind
    arguments = ["pack", source, "--name", "fraud", "--data", "sample.csv", "--target", "is_fraud", "--out", str(out)]
    run(*fairlead, *arguments, folder=work)
    [folder] = list[Path](out.iterdir())
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["engine"]["kind"] == kind
    return folder


@pytest.fixture
def served(installed: Path, bundle: Path, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The addresses of a server of the wheel; it must end with 0 on SIGTERM."""
    told = tmp_path / "told.json"
    words = tmp_path / "words.txt"
    arguments = ["--port", "0", "--admin-port", "0", "--log", "log", "--durability", "acknowledged", "--json"]
    with told.open("w") as stdout, words.open("w") as stderr:
        server = subprocess.Popen(
            [installed / "fairlead", "serve", "--bundle", bundle, *arguments],
            cwd=tmp_path,
            stdout=stdout,
            stderr=stderr,
        )

    def addresses() -> dict[str, Any]:
        assert server.poll() is None, words.read_text()
        text = told.read_text()
        found: dict[str, Any] = json.loads(text) if text.endswith("}\n") else {}
        return found

    try:
        yield until(addresses, "the server tells its addresses", seconds=60)
        server.terminate()
        assert server.wait(timeout=30) == 0, words.read_text()
    finally:
        server.kill()
        server.wait()


PREDICT = """
import sys
from fairlead import Client
with Client(sys.argv[1]) as client:
    print(client.predict("fraud", [{"amount": 20.5}, {"amount": 900.5}]).predictions[1].prediction_id)
"""


def test_it_predicts_and_logs(installed: Path, served: dict[str, Any], tmp_path: Path) -> None:
    prediction = run(installed / "python", "-c", PREDICT, served["url"], folder=tmp_path).strip()
    sql = "SELECT id, score, features.amount FROM predictions ORDER BY score"
    low, high = json.loads(run(installed / "fairlead", "log", "query", sql, "--log", "log", "--json", folder=tmp_path))
    assert high["id"] == prediction
    assert (low["amount"], high["amount"]) == (20.5, 900.5)
    assert 0 <= low["score"] < high["score"] <= 1
