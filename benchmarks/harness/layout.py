"""Where a benchmark's files lie; everything but the results can be deleted and is made again."""

from __future__ import annotations

from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent.parent
ROOT = BENCHMARKS.parent
CACHE = ROOT / ".cache" / "bench"
RESULTS = BENCHMARKS / "results"
NATIVE = BENCHMARKS / "native"
PEERS = BENCHMARKS / "peers"
