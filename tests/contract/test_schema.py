"""The documents: their JSON Schema is the committed one, and every example gets the verdict that its folder says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydantic
import pytest

from fairlead.schema import export
from fairlead.schema.base import Document
from fairlead.schema.declared import CamelDocument
from fairlead.schema.export import DOCUMENTS, SHARED, json_schema

SCHEMA = Path(__file__).parents[2] / "schema"
VALID = sorted((SCHEMA / "examples" / "valid").glob("*.json"))
INVALID = sorted((SCHEMA / "examples" / "invalid").glob("*.json"))


def kind_of(path: Path) -> str:
    """`signature.regression.json` is an example of kind `signature`."""
    return path.name.split(".")[0]


def descendants(kind: type[Document]) -> set[type[Document]]:
    return {kind} | {below for child in kind.__subclasses__() for below in descendants(child)}


def test_there_are_examples_of_every_shared_document_and_of_nothing_else() -> None:
    for examples, fewest in ((VALID, 2), (INVALID, 15)):
        kinds = [kind_of(path) for path in examples]
        assert set(kinds) == set(SHARED)
        assert min(kinds.count(kind) for kind in SHARED) >= fewest


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_example_is_accepted_and_complete(path: Path) -> None:
    document = DOCUMENTS[kind_of(path)].model_validate_json(path.read_bytes())
    assert json.loads(document.canonical_json()) == json.loads(path.read_bytes())


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_example_is_refused(path: Path) -> None:
    with pytest.raises(pydantic.ValidationError):
        DOCUMENTS[kind_of(path)].model_validate_json(path.read_bytes())


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_the_committed_json_schema_is_what_the_code_says(kind: str) -> None:
    assert (SCHEMA / f"{kind}.json").read_text() == json_schema(kind), "make gen"


def test_no_json_schema_is_left_over() -> None:
    assert {path.stem for path in SCHEMA.glob("*.json")} == set(DOCUMENTS)


def test_every_document_is_part_of_an_exported_one() -> None:
    ours = {kind for kind in descendants(Document) if kind.__module__.startswith("fairlead.schema.")}
    ours -= {Document, CamelDocument}  # what documents are made from
    covered: set[str] = {kind.__name__ for kind in DOCUMENTS.values()}
    for kind in DOCUMENTS:
        schema: dict[str, Any] = json.loads(json_schema(kind))
        covered |= set(schema.get("$defs", {}))
    assert {kind.__name__ for kind in ours} <= covered
    assert len({kind.__name__ for kind in ours}) == len(ours)


def test_the_modules_of_documents_are_all_imported_by_the_export() -> None:
    folder = Path(export.__file__).parent
    defining = {path.stem for path in folder.glob("*.py") if "(Document):" in path.read_text()}
    imported = {kind.__module__.rsplit(".", 1)[1] for kind in descendants(Document) - {Document}}
    assert defining <= imported


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_unknown_fields_are_refused_at_every_level(kind: str) -> None:
    schema = json.loads(json_schema(kind))
    objects = [schema, *schema.get("$defs", {}).values()]
    checked = [one for one in objects if one.get("type") == "object"]
    assert checked
    assert all(one["additionalProperties"] is False for one in checked)
