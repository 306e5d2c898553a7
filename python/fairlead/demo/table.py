"""Material from a file of one's own: which columns can be used, in what order, and what is left out and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.demo.columns import Screening, screen
from fairlead.demo.material import Material, Stretch
from fairlead.demo.options import DataFile, DemoOptions
from fairlead.errors import BadInputError

TRAIN_SHARE = 0.6
VALIDATION_SHARE = 0.15
FEWEST_ROWS = 200
FEW_POSITIVES = 30
TIME_WORDS = ("time", "date", "timestamp", "ts", "datetime")


def table_material(options: DemoOptions) -> Material:
    """Read the file, order it by time, screen its columns and cut it into training, validation and live rows.

    Raises `BadInputError` where the file, the label or the weights cannot be used, or nothing is left to learn from.
    """
    file = options.file
    assert file is not None
    frame = _labelled(_read(file), file)
    labels, remarks = _labels(frame[file.label])
    weights = _weights(frame, file)
    features = frame.drop(columns=[file.label, *([file.weight] if file.weight else []), *file.drop])
    order, time, said = _order(features, options.seed)
    features, labels, weights = features.iloc[order].reset_index(drop=True), labels[order], weights[order]
    known = features.drop(columns=[time]) if time else features
    screened = screen(known, labels, Screening(keep_leaks=file.keep_leaks, ordered=time is not None))
    if not len(screened.features.columns):
        raise BadInputError(f"{file.path.name}: no column is left to learn from", hint=" ".join(screened.remarks))
    train, validation, live = _cut(len(labels))
    return Material(
        endpoint=_endpoint(file.path),
        source=file.path.name,
        features=screened.features,
        label_name=file.label,
        labels=labels,
        weights=weights,
        train=train,
        validation=validation,
        live=(Stretch("the last quarter", live),),
        remarks=(*remarks, said, *_warning(int(labels[train].sum()))),
        columns=tuple(screened.remarks),
    )


def _read(file: DataFile) -> Any:
    import pyarrow as pa

    path = file.path
    if not path.is_file():
        raise BadInputError(f"no data file {path}")
    try:
        if path.suffix.lower() == ".csv":
            from pyarrow import csv

            table = csv.read_csv(path, convert_options=csv.ConvertOptions(strings_can_be_null=True))
        elif path.suffix.lower() in (".parquet", ".pq"):
            from pyarrow import parquet

            table = parquet.ParquetFile(path).read()
        else:
            raise BadInputError(f"{path.name}: --data takes a .parquet or a .csv file")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from error
    frame = table.to_pandas()
    for name in (file.label, file.weight, *file.drop):
        if name is not None and name not in frame.columns:
            known = ", ".join(map(str, frame.columns))
            raise BadInputError(f"{path.name} has no column {name!r}", hint=f"its columns are: {known}")
    return frame


def _labelled(frame: Any, file: DataFile) -> Any:
    kept = frame[frame[file.label].notna()]
    if len(kept) < FEWEST_ROWS:
        raise BadInputError(f"{file.path.name} has {len(kept)} rows with a label; a demo needs {FEWEST_ROWS}")
    return kept.reset_index(drop=True)


def _labels(column: Any) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    values, counts = np.unique(column.to_numpy().astype(str), return_counts=True)
    if len(values) != 2:
        raise BadInputError(
            f"the label {column.name!r} has {len(values)} different values, not two",
            hint="the demo learns a decision between two classes",
        )
    numbers = column.dtype.kind in "biuf"
    positive = str(column.max()) if numbers else str(values[np.argmin(counts)])
    labels = (column.astype(str) == positive).to_numpy().astype(np.int8)
    return labels, (f"{column.name} = {positive} is the positive class ({labels.mean():.3%} of the rows)",)


def _weights(frame: Any, file: DataFile) -> NDArray[np.float64]:
    if file.weight is None:
        return np.ones(len(frame))
    column = frame[file.weight]
    if column.dtype.kind not in "iuf" or column.isna().any() or (column <= 0).any():
        raise BadInputError(f"the weight {file.weight!r} must be a positive number in every row")
    return np.asarray(column.to_numpy(np.float64))


def _order(frame: Any, seed: int) -> tuple[NDArray[np.int64], str | None, str]:
    """Row order, the column it comes from if there is one, and the sentence that says so."""
    time = _time_column(frame)
    if time is None:
        order = np.random.default_rng(seed).permutation(len(frame)).astype(np.int64)
        return order, None, "no column tells the time: rows are split at random, which flatters the model"
    order = np.argsort(frame[time].to_numpy(), kind="stable").astype(np.int64)
    return order, time, f"split in order of {time}: the model is judged on what came later"


def _time_column(frame: Any) -> str | None:
    """The first column of a time type, else the first number in file order whose name says time."""
    for name in frame.columns:
        if frame[name].dtype.kind == "M" and frame[name].notna().all():
            return str(name)
    return next((str(name) for name in frame.columns if _is_clock(str(name), frame[name])), None)


def _is_clock(name: str, column: Any) -> bool:
    words = name.lower().replace("-", "_").split("_")
    if column.dtype.kind not in "iuf" or not any(word in TIME_WORDS for word in words) or column.isna().any():
        return False
    return bool(column.is_monotonic_increasing and column.nunique() > FEWEST_ROWS // 10)


def _cut(rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    first, second = int(rows * TRAIN_SHARE), int(rows * (TRAIN_SHARE + VALIDATION_SHARE))
    every = np.arange(rows, dtype=np.int64)
    return every[:first], every[first:second], every[second:]


def _warning(positives: int) -> tuple[str, ...]:
    if positives >= FEW_POSITIVES:
        return ()
    return (f"WARNING: only {positives} positive training rows: the model's figures say little",)


def _endpoint(path: Path) -> str:
    """The file's name as far as an endpoint may be called so."""
    name = "".join(char if char.isascii() and char.isalnum() else "-" for char in path.stem.lower()).strip("-")
    return name[:40].strip("-") or "demo"
