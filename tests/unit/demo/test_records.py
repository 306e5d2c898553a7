"""Rows as request bodies say exactly what the rows hold."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from fairlead.demo.material import Material
from fairlead.demo.records import bodies, tokens


@given(hnp.arrays(np.float32, 20, elements=st.floats(width=32, allow_infinity=False)))
def test_short_floats_read_back_as_themselves(values: NDArray[np.float32]) -> None:
    read = [json.loads(token) for token in tokens(values)]
    for value, back in zip(values, read, strict=True):
        assert (back is None) == bool(np.isnan(value))
        assert back is None or np.float32(back) == value


@given(hnp.arrays(np.float64, 20, elements=st.floats(allow_infinity=False)))
def test_long_floats_read_back_as_themselves(values: NDArray[np.float64]) -> None:
    read = [json.loads(token) for token in tokens(values)]
    assert all((back is None and np.isnan(value)) or back == value for value, back in zip(values, read, strict=True))


def test_a_body_is_one_line_with_every_type_and_the_unit() -> None:
    rows = np.arange(2, dtype=np.int64)
    material = Material(
        endpoint="e",
        source="s",
        features=pd.DataFrame(
            {
                'odd "name"': np.array([1.5, np.nan]),
                "count": np.array([3, -4]),
                "flag": np.array([True, False]),
                "text": np.array(['a"\n', "ç"], dtype=object),
            }
        ),
        label_name="y",
        labels=np.zeros(2, dtype=np.int8),
        weights=np.ones(2),
        train=rows,
        validation=rows,
        live=(),
        unit=("customer", np.array([7, 8])),
    )
    found = bodies(material, rows)
    assert all("\n" not in body for body in found)
    assert [json.loads(body)["records"] for body in found] == [
        [{'odd "name"': 1.5, "count": 3, "flag": True, "text": 'a"\n', "customer": 7}],
        [{'odd "name"': None, "count": -4, "flag": False, "text": "ç", "customer": 8}],
    ]
