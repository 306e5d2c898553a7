"""The documents of a bundle, from the chosen engine and the sample."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from fairlead.bundle.choice import Candidate
from fairlead.bundle.layout import CHECKS, ENVIRONMENT, GOLDEN, LINEAGE, PROFILE, SIGNATURE
from fairlead.bundle.lineage import lineage_of
from fairlead.bundle.predictor import Predictor
from fairlead.bundle.profiling import Scored, build_profile, feature_profiles
from fairlead.bundle.request import Material
from fairlead.bundle.sample import Array, Column, evenly_spaced
from fairlead.bundle.tensors import Tensors, to_tensors
from fairlead.errors import BundleError
from fairlead.schema.bundle import Checks, Environment, OnnxEngine
from fairlead.schema.golden import Golden, GoldenTensor
from fairlead.schema.profile import Profile
from fairlead.schema.signature import Scalar, Signature

GOLDEN_ROWS = 32
SCORED_ROWS = 200_000
"""Rows of the sample that are scored for the profile, evenly spaced where there are more."""


def documents(material: Material, chosen: Candidate) -> tuple[dict[str, bytes], Profile, Checks]:
    """Return every file of the bundle but its manifest, and two of them as documents."""
    predictor = Predictor(chosen.runner, chosen.signature)
    profile = _profile(material, chosen, predictor)
    checks = Checks(parity=chosen.parity, fallback=chosen.fallback)
    lineage = lineage_of(material.source.origin, material.sample, material.request.target)
    written = {
        SIGNATURE: chosen.signature,
        PROFILE: profile,
        LINEAGE: lineage,
        CHECKS: checks,
        ENVIRONMENT: environment(material.source.libraries, onnx=isinstance(chosen.engine, OnnxEngine)),
        GOLDEN: _golden(material, chosen, predictor),
    }
    files = {name: document.canonical_json() for name, document in written.items()}
    clash = set(files) & set(chosen.files)
    if clash:
        raise BundleError(f"the model's files {sorted(clash)} have names that the bundle needs")
    return {**files, **chosen.files}, profile, checks


def environment(libraries: Sequence[str], *, onnx: bool) -> Environment:
    """Return the versions that decide whether a model answers the same elsewhere."""
    names = ["numpy", *libraries, *(["onnx", "onnxruntime"] if onnx else [])]
    converters = {"skl2onnx", "onnxmltools"}
    packages = {}
    for name in sorted(set(names) if onnx else set(names) - converters):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue  # a converter that is not installed was not used
    return Environment(python=f"{sys.version_info.major}.{sys.version_info.minor}", packages=packages)


def _profile(material: Material, chosen: Candidate, predictor: Predictor) -> Profile:
    sample, signature = material.sample, chosen.signature
    if not signature.features:
        outputs = predictor.infer_chunks(chosen.inputs)
        rows = evenly_spaced(sample.rows, len(next(iter(chosen.inputs.values()))))
        return build_profile(signature, sample.rows, [], _scored(material, outputs, rows))
    everything = to_tensors(signature, {column.name: column for column in material.features})
    features = feature_profiles(signature, everything)
    rows = evenly_spaced(sample.rows, SCORED_ROWS)
    outputs = predictor.infer_chunks({name: values[rows] for name, values in everything.items()})
    return build_profile(signature, sample.rows, features, _scored(material, outputs, rows))


def _scored(material: Material, outputs: Tensors, rows: Array) -> Scored:
    target = material.target
    return Scored(
        outputs=outputs,
        target=None if target is None else target.take(rows),
        segments=[column.take(rows) for column in material.segments],
    )


def _golden(material: Material, chosen: Candidate, predictor: Predictor) -> Golden:
    signature = chosen.signature
    tried = len(next(iter(chosen.inputs.values())))
    inputs = {name: values[evenly_spaced(tried, GOLDEN_ROWS)] for name, values in chosen.inputs.items()}
    outputs = golden_tensors(predictor.infer(inputs), signature)
    if not signature.features:
        datatypes = {spec.name: spec.datatype for spec in signature.inputs}
        tensors = [
            GoldenTensor(name=name, datatype=datatypes[name], shape=list(v.shape), data=v.reshape(-1).tolist())
            for name, v in inputs.items()
        ]
        return Golden(tensors=tensors, outputs=outputs)
    rows = evenly_spaced(material.sample.rows, tried)[evenly_spaced(tried, GOLDEN_ROWS)]
    return Golden(rows=records([column.take(rows) for column in material.features]), outputs=outputs)


def golden_tensors(outputs: Mapping[str, Array], signature: Signature) -> list[GoldenTensor]:
    """Return outputs as golden tensors, in the signature's order."""
    return [
        GoldenTensor(
            name=spec.name,
            datatype=spec.datatype,
            shape=list(outputs[spec.name].shape),
            data=outputs[spec.name].reshape(-1).tolist(),
        )
        for spec in signature.outputs
    ]


def records(columns: Sequence[Column]) -> list[dict[str, Scalar | None]]:
    """Return rows as named records, None where a value is missing."""
    cells = [
        [None if missing else value for value, missing in zip(c.values.tolist(), c.missing.tolist(), strict=True)]
        for c in columns
    ]
    return [dict(zip((c.name for c in columns), row, strict=True)) for row in zip(*cells, strict=True)]
