"""What the data plane counts in and what the documents say have the same bins: the sums would be nonsense otherwise."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from fairlead.rollout.slicing import slice_size
from fairlead.schema.signature import Signature
from fairlead.schema.snapshot import MOST_SLICE_COLUMNS, MOST_SLICE_VALUES
from fairlead.schema.telemetry import (
    LATENCY_EDGES_US,
    LOGIT_BINS,
    LOGIT_LIMIT,
    SCORE_BINS,
    SCORE_DELTA_EDGES,
    SKETCH_REGISTERS,
    SliceCounts,
    logit_edge,
)

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "crates" / "dataplane" / "src"
ARMS = (SOURCE / "arms.rs").read_text()
SLICES = json.loads((ROOT / "schema" / "vectors" / "slices.json").read_text())


def constant(name: str, file: str = "arms.rs") -> str:
    found = re.search(rf"const {name}: [^=]+= ([^;]+);", (SOURCE / file).read_text())
    assert found is not None, name
    return found[1]


def test_bins_and_registers_are_those_of_the_documents() -> None:
    assert int(constant("SCORE_BINS")) == SCORE_BINS
    assert int(constant("LOGIT_BINS")) == LOGIT_BINS
    assert float(constant("LOGIT_LIMIT")) == LOGIT_LIMIT
    # The Rust side's own test holds its bins to this rule.
    assert [logit_edge(k) for k in (512, 544)] == [0.5, 1 / (1 + math.exp(-1))]
    assert 2 ** int(constant("SKETCH_BITS")) == SKETCH_REGISTERS
    assert int(constant("MOST_VALUES", "slices.rs")) == MOST_SLICE_VALUES
    assert int(constant("MOST_SLICE_COLUMNS", "wire/snapshot.rs")) == MOST_SLICE_COLUMNS
    assert tuple(float(edge) for edge in constant("DELTA_EDGES").strip("[]").split(",")) == SCORE_DELTA_EDGES


def test_latency_edges_follow_the_same_rule() -> None:
    assert int(constant("LATENCY_EDGES")) == len(LATENCY_EDGES_US)
    # The Rust side's own test holds its values at 0, 1, 4 and 80 of this rule; the last edge is a minute on both sides.
    assert "(50.0 * (index as f64 / 4.0).exp2()).round()" in ARMS
    assert "60_000_000" in ARMS
    assert [LATENCY_EDGES_US[i] for i in (0, 1, 4, 80, 81)] == [50, 59, 100, 52_428_800, 60_000_000]


def test_a_column_has_at_most_as_many_slices_as_the_control_plane_accounts_for() -> None:
    """The data plane's own test holds it to the same vectors."""
    signature = Signature.model_validate(SLICES["signature"])
    sizes = {one.name: slice_size(one) for one in signature.features if one.name in SLICES["columns"]}
    assert sizes == SLICES["sizes"]
    seen: dict[str, set[object]] = {column: set() for column in SLICES["columns"]}
    for row in SLICES["rows"]:
        for column, slice_ in zip(SLICES["columns"], row["slices"], strict=True):
            seen[column].add(SliceCounts(column=column, **slice_).key)
    assert {column: len(found) for column, found in seen.items()} == sizes
