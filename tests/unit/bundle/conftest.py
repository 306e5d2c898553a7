"""Small seeded frames and one packed bundle that the tests of this folder share."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fairlead.bundle import PackResult, pack_model
from fairlead.bundle.sample import Array

if TYPE_CHECKING:
    import lightgbm

ROWS = 600


def payments(rows: int = ROWS, seed: int = 7) -> dict[str, Array]:
    """Columns of a little payments table: floats with gaps, integers, booleans, strings, and a target."""
    random = np.random.default_rng(seed)
    amount = np.round(random.exponential(50, rows), 2)
    age = random.integers(18, 90, rows)
    balance = random.normal(size=rows)
    balance[::7] = np.nan
    country = random.choice(["de", "fr", "us"], rows).astype(object)
    online = random.random(rows) < 0.5
    drive = amount / 50 + (country == "us") * 1.5 + online + np.nan_to_num(balance) + random.normal(size=rows) * 0.3
    return {
        "amount": amount,
        "age": age,
        "balance": balance,
        "country": country,
        "online": online,
        "fraud": (drive > 2.5).astype(np.int64),
    }


def booster(columns: dict[str, Array], names: list[str]) -> lightgbm.Booster:
    """A LightGBM classifier of the named numeric columns."""
    import lightgbm

    matrix = np.column_stack([columns[name].astype(float) for name in names])
    data = lightgbm.Dataset(matrix, columns["fraud"], feature_name=names)
    return lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1}, data, 20)


@pytest.fixture(scope="session")
def table() -> dict[str, Array]:
    return payments()


@pytest.fixture(scope="session")
def model(table: dict[str, Array]) -> lightgbm.Booster:
    return booster(table, ["amount", "age", "balance"])


@pytest.fixture(scope="session")
def packed(table: dict[str, Array], model: lightgbm.Booster, tmp_path_factory: pytest.TempPathFactory) -> PackResult:
    """A LightGBM bundle; tests that damage it copy it first."""
    out = tmp_path_factory.mktemp("bundles")
    return pack_model(model, name="fraud", data=table, target="fraud", out=out, segments=["country"])


@pytest.fixture
def copy(packed: PackResult, tmp_path: Path) -> Path:
    """A copy of the bundle under its own name, to damage."""
    return Path(shutil.copytree(packed.path, tmp_path / packed.path.name))
