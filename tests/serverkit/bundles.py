"""Small bundles that are whole in every respect but that their model is a few bytes: for what never runs it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from fairlead.bundle.layout import (
    CHECKS,
    DIGEST,
    ENVIRONMENT,
    LINEAGE,
    MANIFEST,
    PROFILE,
    SHORT,
    SIGNATURE,
    file_entries,
)
from fairlead.schema.bundle import Checks, Environment, Lineage, Manifest, OnnxEngine, ParityReport
from fairlead.schema.profile import FeatureProfile, NumericProfile, Profile
from fairlead.schema.signature import Datatype, Decision, FeatureSpec, FeatureType, Signature, Task, TensorSpec


def signature(*features: str, labels: tuple[Any, Any] = (0, 1), threshold: float = 0.5) -> Signature:
    """Return the signature of a binary classifier of these numbers."""
    names = features or ("amount",)
    return Signature(
        inputs=[TensorSpec(name="numbers", datatype=Datatype.FP32, shape=[-1, len(names)])],
        features=[
            FeatureSpec(name=name, type=FeatureType.FLOAT, tensor="numbers", column=column)
            for column, name in enumerate(names)
        ],
        outputs=[TensorSpec(name="score", datatype=Datatype.FP32, shape=[-1])],
        decision=Decision(task=Task.BINARY, score_output="score", threshold=threshold, labels=list(labels)),
    )


def small_bundle(out: Path, name: str, model: bytes = b"a model", **fields: Any) -> Path:
    """Write a bundle and return its folder; bundles of other `model` bytes have another sha256.

    `fields`: `wanted` (its signature), `requires_trust`, `mean` (of the first feature in the profile).
    """
    wanted: Signature = fields.get("wanted", signature())
    mean = fields.get("mean", 10.0)
    profile = Profile(
        rows=100,
        features=[
            FeatureProfile(
                name=feature.name,
                count=100,
                missing=0,
                numeric=NumericProfile(
                    edges=[], counts=[100], mean=mean, standard_deviation=1.0, minimum=0.0, maximum=20.0, distinct=90
                ),
            )
            for feature in wanted.features
        ],
    )
    lineage = Lineage(
        source="model.txt",
        source_sha256=None,
        git_commit=None,
        git_dirty=None,
        data_file=None,
        data_sha256=None,
        data_rows=100,
        target="label",
    )
    parity = ParityReport(rows=100, largest_difference=1e-7, changed_decisions=0, tolerance=1e-5, passed=True)
    files = {
        SIGNATURE: wanted.canonical_json(),
        PROFILE: profile.canonical_json(),
        LINEAGE: lineage.canonical_json(),
        CHECKS: Checks(parity=parity).canonical_json(),
        ENVIRONMENT: Environment(python="3.11", packages={"lightgbm": "4.6.0"}).canonical_json(),
        "model.onnx": model,
    }
    manifest = Manifest(
        name=name,
        engine=OnnxEngine(),
        requires_trust=bool(fields.get("requires_trust")),
        files=file_entries(files),
    )
    content = manifest.canonical_json()
    sha256 = hashlib.sha256(content).hexdigest()
    folder = out / f"{name}-{sha256[:SHORT]}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path, data in {**files, MANIFEST: content, DIGEST: f"{sha256}\n".encode()}.items():
        (folder / path).write_bytes(data)
    return folder


def sha256_of(folder: Path) -> str:
    """Return a bundle's identity."""
    return (folder / DIGEST).read_text().strip()
