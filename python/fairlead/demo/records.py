"""Rows as request bodies."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.demo.material import Material


def write_bodies(path: Path, bodies: Iterable[str]) -> None:
    """One body a line; a body has no line break in it."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{body}\n" for body in bodies)


def bodies(material: Material, rows: NDArray[np.int64], unit: tuple[str, NDArray[Any]] | None = None) -> list[str]:
    """A request of one record for each of `rows`: missing as null, numbers as short as they can be written.

    `unit`: name and values of the column that says whose row it is; None: the material's own.
    """
    names = [str(name) for name in material.features.columns]
    columns = [tokens(material.features[name].to_numpy()[rows]) for name in names]
    if unit is None and material.unit is not None:
        unit = (material.unit[0], material.unit[1][rows])
    if unit is not None:
        names.append(unit[0])
        columns.append(tokens(unit[1]))
    keys = [json.dumps(name) + ":" for name in names]
    return [
        '{"records":[{' + ",".join(key + token for key, token in zip(keys, row, strict=True)) + "}]}"
        for row in zip(*columns, strict=True)
    ]


def tokens(values: NDArray[Any]) -> list[str]:
    """Each value as JSON."""
    kind = values.dtype.kind
    if kind == "b":
        return ["true" if value else "false" for value in values]
    if kind in "iu":
        return [str(value) for value in values.tolist()]
    if kind == "f":
        # str() of a NumPy number is the shortest text that reads back as the same number of its own width.
        return ["null" if text == "nan" else text for text in values.astype(str).tolist()]
    return [json.dumps(str(value), ensure_ascii=False) for value in values.tolist()]
