"""Prediction logs as the data plane writes them, made with pyarrow."""

from __future__ import annotations

import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import ipc

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FEATURES = pa.struct([("amount", pa.float32()), ("country", pa.string())])
OUTPUTS = pa.struct([("label", pa.int64()), ("probabilities", pa.list_(pa.float32()))])


def log_schema(features: pa.DataType = FEATURES, outputs: pa.DataType = OUTPUTS) -> pa.Schema:
    """The data plane's schema: the endpoint as a dictionary, ids as `arrow.uuid`."""
    return pa.schema(
        [
            pa.field("id", pa.uuid(), nullable=False),
            pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
            ("endpoint", pa.dictionary(pa.int32(), pa.string())),
            ("version", pa.string()),
            ("variant", pa.string()),
            ("bundle", pa.string()),
            ("unit", pa.string()),
            ("request_id", pa.string()),
            ("row", pa.int32()),
            ("latency_us", pa.int32()),
            ("violations", pa.list_(pa.string())),
            ("decision", pa.string()),
            ("score", pa.float64()),
            ("features", features),
            ("outputs", outputs),
        ]
    )


def prediction(number: int, endpoint: str = "fraud", **changes: Any) -> dict[str, Any]:
    """Row `number` of an endpoint's log."""
    row = {
        "id": uuid.UUID(int=number).bytes,
        "time": START + timedelta(seconds=number),
        "endpoint": endpoint,
        "version": "1",
        "variant": "champion",
        "bundle": "ab" * 32,
        "unit": f"card-{number % 3}",
        "request_id": None,
        "row": 0,
        "latency_us": 100 + number,
        "violations": [],
        "decision": "decline" if number % 2 else "approve",
        "score": number / 100,
        "features": {"amount": float(number), "country": "DE"},
        "outputs": {"label": number % 2, "probabilities": [1 - number / 100, number / 100]},
    }
    return row | changes


def stream(batches: Sequence[pa.RecordBatch], *, ended: bool = True) -> bytes:
    """An Arrow IPC stream; with `ended=False` as it is before the writer closes it."""
    sink = io.BytesIO()
    with ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
        open_length = sink.tell()
    return sink.getvalue() if ended else sink.getvalue()[:open_length]


@dataclass
class LogWriter:
    """Writes segments under `directory`; numbers of rows go on from segment to segment."""

    directory: Path
    schema: pa.Schema = field(default_factory=log_schema)
    rows: int = 0
    segments: int = 0

    def batch(self, rows: int, endpoint: str = "fraud", **changes: Any) -> pa.RecordBatch:
        records = [prediction(self.rows + i, endpoint, **changes) for i in range(rows)]
        self.rows += rows
        return pa.RecordBatch.from_pylist(records, schema=self.schema)

    def segment(self, *batches: pa.RecordBatch, endpoint: str = "fraud", closed: bool = True) -> Path:
        return self.raw(stream(batches, ended=closed), endpoint=endpoint, closed=closed)

    def raw(self, content: bytes, *, endpoint: str = "fraud", closed: bool = True) -> Path:
        folder = self.directory / endpoint
        folder.mkdir(parents=True, exist_ok=True)
        self.segments += 1
        path = folder / f"abababababab-{self.segments:014d}-77-{self.segments}.arrow{'' if closed else '.open'}"
        path.write_bytes(content)
        return path


@pytest.fixture
def log(tmp_path: Path) -> LogWriter:
    """A writer of an empty log."""
    directory = tmp_path / "log"
    directory.mkdir()
    return LogWriter(directory)
