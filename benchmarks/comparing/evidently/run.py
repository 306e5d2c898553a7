"""Evidently on two Parquet files, in an environment of its own: its preset as documented, or single numbers.

    python run.py preset REFERENCE CURRENT
    python run.py numbers REFERENCE CURRENT ROWS

Writes JSON to stdout.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import pandas as pd

NUMERIC = ("psi", "jensenshannon", "hellinger", "kl_div", "wasserstein", "ks")
LABELS = ("psi", "jensenshannon", "hellinger", "kl_div")


def preset(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, object]:
    """Drift of all columns, by its choice of measures."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    labels = [name for name in reference.columns if name.startswith("label")]
    numbers = [name for name in reference.columns if name not in labels]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=labels)
    began = time.perf_counter()
    sides = [Dataset.from_pandas(one, data_definition=definition) for one in (current, reference)]
    found = Report([DataDriftPreset()]).run(*sides).dict()
    seconds = time.perf_counter() - began
    scores = {}
    for metric in found["metrics"]:
        config = metric["config"]
        if "column" in config:
            scores[config["column"]] = (config["method"], float(metric["value"]), config["threshold"])
    return {"seconds": seconds, "scores": scores}


def numbers(reference: pd.DataFrame, current: pd.DataFrame, rows: int) -> dict[str, object]:
    """Single measures of the first rows, by its own functions."""
    from evidently.legacy.calculations import stattests  # noqa: F401 - registers them
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    found: dict[str, dict[str, float]] = {}
    for name in reference.columns:
        label = name.startswith("label")
        sides = [one[name].iloc[:rows].dropna() for one in (reference, current)]
        kind = ColumnType.Categorical if label else ColumnType.Numerical
        found[name] = {
            method: float(get_stattest(*sides, kind, method)(*[s.copy() for s in sides], kind, None).drift_score)
            for method in (LABELS if label else NUMERIC)
        }
    return {"numbers": found}


def main() -> None:
    """Read, run, write."""
    warnings.simplefilter("ignore")
    mode, *paths = sys.argv[1:4]
    reference, current = (pd.read_parquet(path) for path in paths)
    found = preset(reference, current) if mode == "preset" else numbers(reference, current, int(sys.argv[4]))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
