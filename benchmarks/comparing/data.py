"""Two tables of 30 columns: 15 that did not change, 15 that did, each by a little or by much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SEED = 20_240_301
SHIFTS = (0.0, 0.05, 0.0, 0.15, 0.0, 0.4)
"""Of the columns in turn, in standard deviations or the like."""
COLUMNS = 30


def write(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write reference and current unless they are there; give their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"reference-{rows}.parquet", folder / f"current-{rows}.parquet"
    for path, moved, seed in zip(paths, (0.0, 1.0), (SEED, SEED + 1), strict=True):
        if not path.exists():
            parquet.write_table(pa.table(table(rows, moved, np.random.default_rng(seed))), path, compression="zstd")
    return paths


def table(rows: int, moved: float, rng: np.random.Generator) -> Mapping[str, object]:
    """15 normals, 5 lognormals, 5 whole numbers, 5 columns of labels; 2 % missing in every tenth column."""
    columns: dict[str, object] = {}
    for at in range(COLUMNS):
        shift = SHIFTS[at % len(SHIFTS)] * moved
        kind = at % 6
        if kind == 3:
            columns[f"lognormal_{at}"] = rng.lognormal(shift, 0.8, rows)
        elif kind == 4:
            columns[f"whole_{at}"] = rng.poisson(4 + 2 * shift, rows)
        elif kind == 5:
            shares = np.array([0.4, 0.3, 0.2, 0.07, 0.03]) * (1 + shift * np.array([-1, 1, -1, 1, 1]))
            columns[f"label_{at}"] = pa.DictionaryArray.from_arrays(
                pa.array(rng.choice(5, rows, p=shares / shares.sum()), pa.int8()), ["de", "fr", "it", "es", "at"]
            ).cast(pa.string())
        else:
            values = rng.normal(shift, 1, rows)
            if at % 10 == 0:
                values[rng.random(rows) < 0.02] = np.nan
            columns[f"normal_{at}"] = values
    return columns
