"""The error catalogue: names, and statuses that agree with each other."""

from __future__ import annotations

import re

import pytest

from fairlead.schema.catalogue import ERRORS, ErrorSpec

HTTP_OF_GRPC = {
    "INVALID_ARGUMENT": {400, 413, 415, 422},
    "NOT_FOUND": {400, 404},
    "UNIMPLEMENTED": {405, 501},
    "RESOURCE_EXHAUSTED": {429},
    "UNAVAILABLE": {503},
    "DEADLINE_EXCEEDED": {408, 504},
    "INTERNAL": {500},
    "FAILED_PRECONDITION": {409},
    "DATA_LOSS": {400},
    "PERMISSION_DENIED": {403},
}


def test_codes_are_unique() -> None:
    assert len({spec.code for spec in ERRORS}) == len(ERRORS)


@pytest.mark.parametrize("spec", ERRORS, ids=lambda spec: spec.code)
def test_an_error_is_named_explained_and_consistent(spec: ErrorSpec) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", spec.code)
    assert spec.http in HTTP_OF_GRPC[spec.grpc]
    assert spec.when
    assert spec.hint
    assert not spec.when.endswith(".")
