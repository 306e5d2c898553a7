"""The two rules every document keeps: unknown fields are refused, values never change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A document that crosses a boundary (file, wire, process)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def canonical_json(self) -> bytes:
        """The document as canonical JSON: sorted keys, no white space, every field present, UTF-8.

        Two equal documents give equal bytes, so a digest of them is stable.
        """
        payload: Any = self.model_dump(mode="json")
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Parse `path`; raises `OSError` or `pydantic.ValidationError`."""
        return cls.model_validate_json(path.read_bytes())
