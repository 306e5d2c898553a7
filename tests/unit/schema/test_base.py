"""What every document promises: canonical bytes, no unknown fields, no change."""

from __future__ import annotations

import json
from pathlib import Path

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.schema.base import Document


class Part(Document):
    """A part."""

    text: str = "é"
    ratio: float | None = None


class Whole(Document):
    """A document with a part."""

    zeta: int
    alpha: Part = Part()


def test_canonical_json_is_sorted_dense_and_complete() -> None:
    assert Whole(zeta=1).canonical_json() == '{"alpha":{"ratio":null,"text":"é"},"zeta":1}'.encode()


@given(st.text(), st.none() | st.floats(allow_nan=False, allow_infinity=False), st.integers())
def test_equal_documents_have_equal_bytes_and_come_back(text: str, ratio: float | None, zeta: int) -> None:
    document = Whole(zeta=zeta, alpha=Part(text=text, ratio=ratio))
    shuffled = Whole.model_validate({"alpha": {"ratio": ratio, "text": text}, "zeta": zeta})
    try:
        data = document.canonical_json()
    except UnicodeEncodeError:  # a lone surrogate is no text that a file could hold
        assert any("\ud800" <= character <= "\udfff" for character in text)
        return
    assert data == shuffled.canonical_json()
    assert Whole.model_validate_json(data) == document


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_refused(value: float) -> None:
    with pytest.raises(pydantic.ValidationError):
        Part(ratio=value)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="surprise"):
        Whole.model_validate({"zeta": 1, "alpha": {"surprise": 1}})


def test_documents_do_not_change() -> None:
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Whole(zeta=1).zeta = 2  # type: ignore[misc]


def test_read_parses_a_file_and_names_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "whole.json"
    path.write_text(json.dumps({"zeta": 1}))
    assert Whole.read(path) == Whole(zeta=1)
    path.write_text('{"zeta": "x"}')
    with pytest.raises(pydantic.ValidationError, match="zeta"):
        Whole.read(path)
    with pytest.raises(FileNotFoundError):
        Whole.read(tmp_path / "nowhere.json")
