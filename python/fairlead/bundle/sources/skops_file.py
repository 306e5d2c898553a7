"""Estimators as skops files that are equal for equal estimators."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import PurePosixPath
from typing import Any

from fairlead.bundle.runtime.load import HARMLESS_TYPES

_EPOCH = (1980, 1, 1, 0, 0, 0)
_SCHEMA = "schema.json"


def skops_bytes(estimator: Any) -> bytes | None:
    """Return the estimator as a skops file, None where skops cannot or does not know all types to be safe."""
    try:
        import skops.io

        content: bytes = skops.io.dumps(estimator)
        unknown = set(skops.io.get_untrusted_types(data=content)) - set(HARMLESS_TYPES)
        return None if unknown else canonical(content)
    except Exception:  # noqa: BLE001 - what skops cannot save, it says in many ways; the pickle is the way out
        return None


def canonical(content: bytes) -> bytes:
    """Return the skops file with its memory addresses replaced by numbers in order, and without times."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    numbers: dict[str, int] = {}
    schema = _renumbered(json.loads(members.pop(_SCHEMA)), numbers)
    written = {_SCHEMA: json.dumps(schema, separators=(",", ":")).encode()}
    written |= {_file_name(name, numbers): data for name, data in members.items()}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(written.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return target.getvalue()


def _renumbered(node: Any, numbers: dict[str, int]) -> Any:
    if isinstance(node, list):
        return [_renumbered(item, numbers) for item in node]
    if not isinstance(node, dict):
        return node
    changed: dict[str, Any] = {}
    for key, value in node.items():
        if key == "__id__":
            changed[key] = numbers.setdefault(str(value), len(numbers))
        elif key == "file" and isinstance(value, str):
            changed[key] = _file_name(value, numbers)
        else:
            changed[key] = _renumbered(value, numbers)
    return changed


def _file_name(name: str, numbers: dict[str, int]) -> str:
    path = PurePosixPath(name)
    return f"{numbers.setdefault(path.stem, len(numbers))}{path.suffix}"
