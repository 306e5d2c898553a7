"""`python -m tests.serverkit.limited SNAPSHOT LOG LIMITS`: `fairlead serve` with limits that have no flag."""

from __future__ import annotations

import sys
from pathlib import Path

from fairlead.cli.serve import onnxruntime_library, read_snapshot, run
from fairlead.schema.serve import Limits, Listener, LogOptions, ServeOptions


def main(snapshot: str, log: str, limits: str) -> int:
    """Serve until SIGTERM; return the exit code."""
    options = ServeOptions(
        snapshot=read_snapshot(Path(snapshot)),
        listen=Listener(port=0),
        admin=Listener(port=0),
        log=LogOptions(directory=log),
        limits=Limits.model_validate_json(limits),
        onnxruntime_library=onnxruntime_library(),
        python=sys.executable,
    )
    return run(options, "warn", as_json=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
