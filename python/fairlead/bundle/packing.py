"""`pack`: a trained model and a sample of its data become a bundle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.bundle.assemble import documents
from fairlead.bundle.choice import Candidate, choose_engine
from fairlead.bundle.engine_options import with_options
from fairlead.bundle.layout import draft, file_entries
from fairlead.bundle.outcome import Labelling, target_labels
from fairlead.bundle.publish import publish
from fairlead.bundle.rehearsal import rehearse
from fairlead.bundle.request import PackRequest, gather
from fairlead.schema.bundle import Checks, Manifest, OnnxEngine, ParityReport, PythonEngine
from fairlead.schema.profile import Profile
from fairlead.schema.signature import Signature


@dataclass(frozen=True, slots=True)
class PackResult:
    """The bundle that was made."""

    path: Path
    sha256: str
    manifest: Manifest
    signature: Signature
    profile: Profile
    checks: Checks
    parity_float32: ParityReport | None
    """Parity on rows rounded to float32 first: what of the difference is the conversion's own. None as `parity`."""


def pack(request: PackRequest) -> PackResult:
    """Make a bundle and return it. Equal inputs give an equal sha256.

    Raises `BadInputError` where the request, the sample or the source is wrong, `ConversionError` where ONNX is
    demanded and cannot be had, and `BundleError` where the bundle cannot be made.
    """
    with_options(OnnxEngine(), request.engine_options)  # what is wrong with them is said before the work begins
    material = gather(request)
    labelling = Labelling(
        threshold=request.threshold, override=material.overrides.decision, target_labels=target_labels(material.target)
    )
    chosen = choose_engine(material, labelling)
    files, profile, checks = documents(material, chosen)
    manifest = Manifest(
        name=request.name,
        engine=with_options(chosen.engine, request.engine_options),
        requires_trust=chosen.requires_trust,
        files=file_entries(files),
    )
    out = Path(request.out)
    with draft(out, manifest, files) as folder:
        if isinstance(manifest.engine, PythonEngine):
            rehearse(folder)
        path = publish(folder, out, manifest)
    return _result(path, manifest, chosen, profile, checks)


def pack_model(source: Any, *, name: str, data: Any, target: str | None = None, **options: Any) -> PackResult:
    """Pack a model object, a file or `module:attribute`; `options` are the other fields of `PackRequest`."""
    return pack(PackRequest(source=source, name=name, data=data, target=target, **options))


def _result(path: Path, manifest: Manifest, chosen: Candidate, profile: Profile, checks: Checks) -> PackResult:
    return PackResult(
        path=path,
        sha256=hashlib.sha256(manifest.canonical_json()).hexdigest(),
        manifest=manifest,
        signature=chosen.signature,
        profile=profile,
        checks=checks,
        parity_float32=chosen.parity_float32,
    )
