"""Column names that are no identifiers: they stay what they are, and the model stays ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairlead.bundle import open_bundle
from fairlead.bundle import pack_model as pack


def test_names_with_hyphens_and_spaces_stay_and_convert(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "hours-per-week": random.integers(1, 80, 400).astype(float),
            "Kapital (€)": random.normal(size=400).astype(np.float32).astype(float),
            "native country": random.choice(["SE", "NO"], 400),
            "hours_per_week": random.normal(size=400).astype(np.float32).astype(float),
        }
    )
    target = (table["hours-per-week"] > 40).astype(int)
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["hours-per-week", "Kapital (€)", "hours_per_week"]),
            ("text", OneHotEncoder(handle_unknown="ignore"), ["native country"]),
        ]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(table, target)
    result = pack(model, name="names", data=table.assign(rich=target), target="rich", out=tmp_path)
    bundle = open_bundle(result.path)
    assert bundle.manifest.engine.kind == "onnx", result.checks.fallback
    assert [spec.name for spec in bundle.signature.inputs] == list(table.columns)
    assert result.checks.parity is not None
    assert result.checks.parity.largest_difference < 1e-5
