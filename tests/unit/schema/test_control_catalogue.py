"""The control plane's errors: named, explained, and apart from those of the data plane."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fairlead
from fairlead.schema.catalogue import ERRORS
from fairlead.schema.control_catalogue import CONTROL_ERRORS, ControlErrorSpec

PACKAGE = Path(fairlead.__file__).parent
RAISED = re.compile(r'code="([a-z_]+)"|refusal\("([a-z_]+)"|"([a-z_]+)"\s*\)\s*#\s*code|\b404: "(\w+)"|405: "(\w+)"')


def test_codes_are_unique_and_none_is_one_of_the_data_plane() -> None:
    codes = {spec.code for spec in CONTROL_ERRORS}
    assert len(codes) == len(CONTROL_ERRORS)
    assert not codes & {spec.code for spec in ERRORS}


@pytest.mark.parametrize("spec", CONTROL_ERRORS, ids=lambda spec: spec.code)
def test_an_error_is_named_and_explained(spec: ControlErrorSpec) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", spec.code)
    assert 400 <= spec.http <= 503
    assert spec.when
    assert spec.hint
    assert not spec.when.endswith(".")


def test_every_code_that_is_raised_is_in_the_catalogue_and_every_one_there_is_raised() -> None:
    raised: set[str] = set()
    for folder in ("control", "registry", "rollout", "store"):
        for path in (PACKAGE / folder).rglob("*.py"):
            for groups in RAISED.findall(path.read_text()):
                raised |= {code for code in groups if code}
    raised |= set(re.findall(r'or "([a-z_]+)", error', (PACKAGE / "control" / "failures.py").read_text()))
    assert raised == {spec.code for spec in CONTROL_ERRORS}
