"""What documents that people write have in common: camel case, durations, nothing that is not set."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)
from pydantic.alias_generators import to_camel

from fairlead.schema.base import Document

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def seconds_of(value: Any) -> Any:
    """Return the seconds of `90`, `90s`, `10m`, `1h30m`, `2d`; raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, str):
        return value
    text = value.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(rf"(?:{_DURATION.pattern})+", text):
        raise ValueError(f"{value!r} is no duration: write 90s, 10m, 1h30m or 2d")
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))


def duration_text(seconds: float) -> str:
    """Return seconds as people write them: `1h30m`."""
    left, parts = seconds, []
    for unit, size in reversed(_UNITS.items()):
        if unit != "s" and left >= size:
            parts.append(f"{int(left // size)}{unit}")
            left %= size
    return "".join(parts) + (f"{left:g}s" if left or not parts else "")


Duration = Annotated[
    float,
    BeforeValidator(seconds_of),
    Field(ge=0, le=10 * 365 * 86_400),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "examples": ["10m", "1h30m", "2d"]}, {"type": "number"}]}),
]


class CamelDocument(Document):
    """A document that people write: camel case, and what is not set is left out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)

    @model_serializer(mode="wrap")
    def _without_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}
