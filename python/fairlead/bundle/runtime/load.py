"""Open the engine of a bundle that lies in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairlead.bundle.runtime.runner import LABEL, Runner
from fairlead.errors import BundleError
from fairlead.schema.bundle import Manifest, OnnxEngine, PythonEngine
from fairlead.schema.signature import Scalar, Signature, Task

HARMLESS_TYPES = ("numpy.dtype",)
"""What skops does not know to be safe, but is: a dtype is made of a string, and every SimpleImputer holds one."""


def load_runner(folder: Path, manifest: Manifest, signature: Signature, *, trust_pickle: bool = False) -> Runner:
    """Load the bundle's model. Its code, if it brings any, must be importable: see `CodeSpace`.

    Raises `BundleError` where it would have to be unpickled and that was not allowed; otherwise what the model's
    library raises.
    """
    engine = manifest.engine
    if manifest.requires_trust and not trust_pickle:
        raise BundleError(
            f"{manifest.name}: loading this model would unpickle it, which can run any code",
            hint="allow it with --trust-pickle if you made the bundle",
        )
    if isinstance(engine, OnnxEngine):
        from fairlead.bundle.runtime.onnx import OnnxRunner

        return OnnxRunner((folder / engine.file).read_bytes(), engine)
    return _load_python(folder, engine, signature)


def _load_python(folder: Path, engine: PythonEngine, signature: Signature) -> Runner:
    if engine.runtime == "callable":
        from fairlead.bundle.runtime.callable import CallableRunner, import_entry

        return CallableRunner(import_entry(engine.entry or ""), signature)
    if engine.file is None:
        raise BundleError(f"the manifest names no model file for the {engine.runtime} engine")
    file = folder / engine.file
    if engine.runtime == "sklearn":
        from fairlead.bundle.runtime.sklearn import SklearnRunner

        return SklearnRunner(load_estimator(file, engine.format), signature)
    labels = classes_of(signature)
    if engine.runtime == "lightgbm":
        import lightgbm

        from fairlead.bundle.runtime.lightgbm import LightgbmRunner

        return LightgbmRunner(lightgbm.Booster(model_str=file.read_text()), signature, labels)
    import xgboost

    from fairlead.bundle.runtime.xgboost import XgboostRunner

    return XgboostRunner(xgboost.Booster(model_file=file), signature, labels)


def load_estimator(file: Path, form: str | None) -> Any:
    """Load a scikit-learn estimator from a skops file, a pickle or a joblib file (which is a kind of pickle)."""
    if form == "skops":
        import skops.io

        return skops.io.load(file, trusted=list(HARMLESS_TYPES))
    import joblib

    return joblib.load(file)


def classes_of(signature: Signature) -> Sequence[Scalar]:
    """Return the class labels that a booster's columns stand for; empty for a regression."""
    if signature.decision is None or signature.decision.task is Task.REGRESSION:
        return []
    return signature.decision.labels if any(t.name == LABEL for t in signature.outputs) else []
