"""The two sides of `fairlead._core` say the same: documents, errors, version."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import _core
from fairlead.schema.catalogue import ERRORS
from fairlead.schema.export import DOCUMENTS, SHARED
from fairlead.schema.signature import Datatype, Decision, FeatureSpec, FeatureType, Signature, Task, TensorSpec
from fairlead.schema.snapshot import (
    Batching,
    BundleReference,
    Dispatch,
    Durability,
    Endpoint,
    EngineOptions,
    Role,
    Snapshot,
    Validation,
    Variant,
)

EXAMPLES = Path(__file__).parents[2] / "schema" / "examples"
VALID = sorted((EXAMPLES / "valid").glob("*.json"))
INVALID = sorted((EXAMPLES / "invalid").glob("*.json"))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_example_comes_back_equal(path: Path) -> None:
    back = _core.check_document(path.name.split(".")[0], path.read_text())
    assert json.loads(back) == json.loads(path.read_bytes())


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_example_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match=r".+"):
        _core.check_document(path.name.split(".")[0], path.read_text())


def test_the_examples_were_found() -> None:
    assert {path.name.split(".")[0] for path in VALID} == set(SHARED)
    assert len(INVALID) > 80


@pytest.mark.parametrize("text", ["", "{", "null", "1", '{"schema_version": NaN}', "\ud800"[:0] + "\x00"])
@pytest.mark.parametrize("kind", SHARED)
def test_what_is_no_document_is_refused_by_both(kind: str, text: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        DOCUMENTS[kind].model_validate_json(text)
    with pytest.raises(ValueError, match=r".+"):
        _core.check_document(kind, text)


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
COUNT = st.integers(1, 256)


@st.composite
def variants(draw: st.DrawFn) -> list[Variant]:
    """One champion and up to two others, versions unique."""
    versions = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    roles = [Role.CHAMPION, *draw(st.lists(st.sampled_from([Role.CHALLENGER, Role.SHADOW]), min_size=2, max_size=2))]
    sha256 = st.none() | st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
    references = st.builds(BundleReference, path=TEXT, sha256=sha256)
    return [
        Variant(role=role, version=version, bundle=draw(references))
        for role, version in zip(roles, versions, strict=False)
    ]


ENDPOINTS = st.builds(
    Endpoint,
    name=NAMES,
    variants=variants(),
    validation=st.sampled_from(Validation),
    durability=st.sampled_from(Durability),
    deadline_ms=st.integers(1, 3_600_000),
    unit_key=st.none() | TEXT,
    batching=st.builds(
        Batching,
        max_rows=st.integers(1, 2**31),
        max_wait_us=st.integers(0, 2**31),
        queue_rows=st.integers(1, 2**31),
        queue_wait_ms=st.integers(0, 60_000),
    ),
    engine=st.builds(
        EngineOptions,
        dispatch=st.sampled_from(Dispatch),
        instances=COUNT,
        workers=st.none() | COUNT,
        intra_op_threads=st.none() | COUNT,
        native_trees=st.booleans(),
    ),
)
SNAPSHOTS = st.builds(
    Snapshot,
    generation=st.integers(0, 2**63),
    endpoints=st.lists(ENDPOINTS, max_size=3, unique_by=lambda endpoint: endpoint.name),
)


@given(SNAPSHOTS)
def test_any_snapshot_survives_the_other_side(snapshot: Snapshot) -> None:
    text = snapshot.canonical_json().decode()
    assert json.loads(_core.check_document("snapshot", text)) == json.loads(text)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    """Numbers in one tensor, each text in its own, and a decision of any task."""
    names = draw(st.lists(TEXT, min_size=1, max_size=5, unique=True))
    width = draw(st.integers(0, len(names)))
    datatype = draw(st.sampled_from([kind for kind in Datatype if kind is not Datatype.BYTES]))
    inputs = [TensorSpec(name="\x01numbers", datatype=datatype, shape=[-1, width])] if width else []
    features = [
        FeatureSpec(
            name=name,
            type=draw(st.sampled_from([FeatureType.FLOAT, FeatureType.INTEGER, FeatureType.BOOLEAN])),
            tensor="\x01numbers",
            column=column,
            nullable=draw(st.booleans()),
            minimum=draw(st.none() | NUMBERS),
            impute=draw(st.none() | NUMBERS | st.integers(-(2**63), 2**63 - 1) | st.booleans()),
        )
        for column, name in enumerate(names[:width])
    ]
    for name in names[width:]:
        inputs.append(TensorSpec(name=name, datatype=Datatype.BYTES, shape=draw(st.sampled_from([[-1], [-1, 1]]))))
        categories = draw(st.none() | st.lists(TEXT, max_size=3, unique=True))
        features.append(FeatureSpec(name=name, type=FeatureType.STRING, tensor=name, categories=categories))
    output = TensorSpec(name="p", datatype=Datatype.FP32, shape=[-1, 3])
    return Signature(inputs=inputs, features=features, outputs=[output], decision=draw(decisions()))


def decisions() -> st.SearchStrategy[Decision | None]:
    labels = st.lists(TEXT | st.integers(-1000, 1000), min_size=2, max_size=2, unique_by=str)
    return st.one_of(
        st.none(),
        st.builds(
            Decision,
            task=st.just(Task.BINARY),
            score_output=st.just("p"),
            score_column=st.integers(0, 2),
            threshold=NUMBERS,
            labels=labels,
        ),
        st.builds(
            Decision,
            task=st.just(Task.MULTICLASS),
            score_output=st.just("p"),
            labels=st.lists(TEXT, min_size=3, max_size=3, unique=True),
        ),
        st.builds(Decision, task=st.just(Task.REGRESSION), score_output=st.just("p"), score_column=st.integers(0, 2)),
    )


@given(signatures())
def test_any_signature_survives_the_other_side(signature: Signature) -> None:
    text = signature.canonical_json().decode()
    assert json.loads(_core.check_document("signature", text)) == json.loads(text)


def test_the_error_catalogues_are_equal() -> None:
    ours = {(spec.code, spec.http, spec.grpc) for spec in ERRORS}
    theirs = {(row["code"], row["http"], row["grpc"]) for row in json.loads(_core.error_catalogue())}
    assert ours == theirs
    assert len(ours) == len(ERRORS)


def test_metric_names_keep_the_rules_of_prometheus() -> None:
    metrics = json.loads(_core.metric_catalogue())
    assert len({metric["name"] for metric in metrics}) == len(metrics) > 5
    for metric in metrics:
        assert metric["name"].startswith("fairlead_")
        assert metric["name"].endswith("_total") == (metric["type"] == "counter")
        assert metric["help"]
        assert isinstance(metric["labels"], list)


def test_the_package_and_its_core_are_of_one_version() -> None:
    assert _core.__version__ == importlib.metadata.version("fairlead")
