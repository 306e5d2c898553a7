"""Documents that people write: YAML or JSON, with errors that name the file, the line and the field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.errors import BadInputError

if TYPE_CHECKING:
    import yaml
    from pydantic import ValidationError

    from fairlead.schema.rollout import Rollout

KIND = "Rollout"


def read_rollouts(path: Path) -> list[Rollout]:
    """Return the rollouts of a file, one for each YAML document. Raises `BadInputError`."""
    import yaml

    from fairlead.schema.rollout import Rollout

    try:
        text = path.read_text(encoding="utf-8")
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        values = list(yaml.safe_load_all(text))
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadInputError(f"cannot read {path}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise BadInputError(f"{place}: no YAML: {getattr(error, 'problem', None) or error}") from None
    found = []
    for node, value in zip(nodes, values, strict=True):
        if value is not None:
            found.append(_parsed(path, node, value, Rollout))
    if not found:
        raise BadInputError(f"{path} is empty", hint="docs/guides/rollouts.md has an example")
    return found


def _parsed(path: Path, node: yaml.Node, value: Any, kind: type[Rollout]) -> Rollout:
    from pydantic import ValidationError

    if isinstance(value, dict) and value.get("kind", KIND) != KIND:
        line = _line(node, ("kind",))
        raise BadInputError(f"{path}:{line}: kind: expected {KIND}, got {value['kind']!r}")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise BadInputError("\n".join(_complaints(path, node, error))) from None


def _complaints(path: Path, node: yaml.Node, error: ValidationError) -> Iterator[str]:
    for one in error.errors(include_url=False):
        where = [part for part in one["loc"] if not (isinstance(part, str) and part.startswith(("list[", "literal[")))]
        words = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            words = "there is no such field"
        yield f"{path}:{_line(node, where)}: {_dotted(where)}: {words}"


def _dotted(where: Sequence[int | str]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return text.lstrip(".") or "the document"


def _line(node: yaml.Node, where: Sequence[int | str]) -> int:
    """Return the line (from 1) of the field, or of the nearest thing around it."""
    import yaml

    line = int(node.start_mark.line)
    for part in where:
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == part), None)
            if pair is None:
                break
            key, node = pair
            line = int(key.start_mark.line)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = int(node.start_mark.line)
        else:
            break
    return line + 1
