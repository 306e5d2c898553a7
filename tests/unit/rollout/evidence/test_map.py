"""The package's map names its modules, and only those."""

from __future__ import annotations

import re
from pathlib import Path

from fairlead.rollout import evidence


def test_the_map_is_complete() -> None:
    rows = [line for line in (evidence.__doc__ or "").splitlines() if line.startswith("| `")]
    named = {name for line in rows for name in re.findall(r"`(\w+)`", line)}
    modules = {path.stem for path in Path(evidence.__file__).parent.glob("*.py")} - {"__init__"}
    assert len(modules) > 15
    assert named == modules
