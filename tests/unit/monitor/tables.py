"""Tables for the tests of comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from fairlead.schema.comparison import ColumnComparison, Comparison
from fairlead.store.columns import Frame
from fairlead.store.tables import frame_of


def frame(columns: Mapping[str, Any], name: str = "table") -> Frame:
    """A frame of numpy arrays and lists; NaN and None are missing."""
    return frame_of(pa.table({key: pa.array(values, from_pandas=True) for key, values in columns.items()}), name)


def column(found: Comparison, name: str = "x") -> ColumnComparison:
    """The comparison's column of that name."""
    [one] = [each for each in found.columns if each.name == name]
    return one


def kinds(one: ColumnComparison) -> Sequence[str]:
    """Kinds of the findings of a column."""
    return [finding.kind.value for finding in one.findings]


def measures(one: ColumnComparison) -> dict[str, float | None]:
    """Measures by name."""
    return {each.name: each.value for each in one.measures}
