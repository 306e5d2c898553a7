"""Choose the engine: ONNX where the conversion keeps parity, else Python, and say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fairlead.bundle.features import feature_specs, input_tensors
from fairlead.bundle.outcome import UNSEEN_OUTPUTS, Labelling, infer_decision, output_specs
from fairlead.bundle.parity import PARITY_ROWS, Compared, check_finite, compare
from fairlead.bundle.predictor import CHUNK_ROWS
from fairlead.bundle.request import Material
from fairlead.bundle.runtime import Runner
from fairlead.bundle.runtime.onnx import OnnxRunner
from fairlead.bundle.sample import evenly_spaced, first_line
from fairlead.bundle.sources import Layout
from fairlead.bundle.tensors import Tensors, to_tensors
from fairlead.errors import BadInputError, BundleError, ConversionError, FairleadError
from fairlead.schema.bundle import OnnxEngine, ParityReport, PythonEngine
from fairlead.schema.signature import Datatype, Signature, TensorSpec


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine that answers, with all that a bundle needs of it."""

    signature: Signature
    engine: OnnxEngine | PythonEngine
    files: Mapping[str, bytes]
    runner: Runner
    inputs: Tensors
    """The sample rows that it was tried on, as input tensors."""
    requires_trust: bool = False
    parity: ParityReport | None = None
    parity_float32: ParityReport | None = None
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class Original:
    """The model as it was given, and its answers."""

    runner: Runner
    signature: Signature
    inputs: Tensors
    outputs: Tensors = field(default_factory=dict)


def choose_engine(material: Material, labelling: Labelling) -> Candidate:
    """Return the engine for the bundle.

    Raises `ConversionError` where ONNX was demanded and cannot be had, `BadInputError` where the sample does not fit
    the model, `BundleError` where the model's answers cannot be served.
    """
    layout = material.source.layout(material.features)
    if layout is Layout.GRAPH:
        return _graph(material, labelling)
    original = _original(material, layout, labelling)
    if material.request.engine == "python":
        return _python(material, original, fallback=None)
    try:
        candidate = _converted(material, layout, original, labelling)
    except ConversionError as error:
        if material.request.engine == "onnx":
            raise
        return _python(material, original, fallback=error.message)
    report = candidate.parity
    if report is None or report.passed:
        return candidate
    reason = _parity_words(report, candidate.parity_float32)
    if material.request.engine == "onnx":
        raise ConversionError(reason, hint="raise --tolerance, or let the Python engine run it with --engine auto")
    chosen = _python(material, original, fallback=reason)
    return replace(chosen, parity=report, parity_float32=candidate.parity_float32)


def run_chunks(runner: Runner, inputs: Tensors) -> Tensors:
    """Return a model's raw outputs for any number of rows."""
    rows = len(next(iter(inputs.values())))
    parts = []
    for start in range(0, rows, CHUNK_ROWS):
        part = runner.run({name: values[start : start + CHUNK_ROWS] for name, values in inputs.items()})
        output_specs(part, min(CHUNK_ROWS, rows - start))  # a batch in, a batch out
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _rows(material: Material) -> Any:
    return evenly_spaced(material.sample.rows, PARITY_ROWS)


def build_signature(material: Material, inputs: Sequence[TensorSpec]) -> Signature:
    """Return the signature of the inputs, outputs not known yet."""
    overrides = material.overrides.features
    features = [
        overrides[spec.name].apply(spec) if spec.name in overrides else spec
        for spec in feature_specs(material.features, inputs)
    ]
    return Signature(inputs=list(inputs), features=features, outputs=UNSEEN_OUTPUTS)


def _inputs(material: Material, layout: Layout, floats: Datatype) -> list[TensorSpec]:
    nullable = {name for name, o in material.overrides.features.items() if o.nullable and o.missing is None}
    return input_tensors(material.features, layout, floats, nullable)


def _sample_tensors(material: Material, signature: Signature) -> Tensors:
    rows = _rows(material)
    return to_tensors(signature, {column.name: column.take(rows) for column in material.features})


def _original(material: Material, layout: Layout, labelling: Labelling) -> Original:
    signature = build_signature(material, _inputs(material, layout, Datatype.FP64))
    runner = material.source.runner(signature)
    if runner is None:
        raise BundleError("the model cannot be run as it was given")
    inputs = _sample_tensors(material, signature)
    try:
        outputs = run_chunks(runner, inputs)
    except FairleadError:
        raise
    except Exception as error:  # the model is the user's: it can raise anything
        raise BadInputError(
            f"the model does not take the sample: {type(error).__name__}: {first_line(error)}",
            hint="name the model's columns in its order with --features, and their types with --signature",
        ) from error
    check_finite(outputs)
    return Original(runner, _finished(signature, material, outputs, labelling), inputs, outputs)


def _finished(signature: Signature, material: Material, outputs: Tensors, labelling: Labelling) -> Signature:
    rows = len(_rows(material))
    return Signature(
        inputs=signature.inputs,
        features=signature.features,
        outputs=output_specs(outputs, rows),
        decision=infer_decision(material.source.facts, outputs, labelling),
    )


def _python(material: Material, original: Original, *, fallback: str | None) -> Candidate:
    saved = material.source.saved()
    return Candidate(
        signature=original.signature,
        engine=saved.engine,
        files=saved.files,
        runner=original.runner,
        inputs=original.inputs,
        requires_trust=saved.requires_trust,
        fallback=fallback,
    )


def _loaded(graph: bytes, engine: OnnxEngine) -> OnnxRunner:
    try:
        return OnnxRunner(graph, engine)
    except Exception as error:  # onnxruntime's errors have no common base
        raise ConversionError(f"ONNX Runtime does not load the graph: {first_line(error)}") from error


def _converted(material: Material, layout: Layout, original: Original, labelling: Labelling) -> Candidate:
    signature = build_signature(material, _inputs(material, layout, Datatype.FP32))
    graph = material.source.convert(signature)
    engine = OnnxEngine()
    runner = _loaded(graph, engine)
    inputs = _sample_tensors(material, signature)
    try:
        outputs = run_chunks(runner, inputs)
        check_finite(outputs)
    except Exception as error:  # as above
        raise ConversionError(f"the converted graph does not run: {first_line(error)}") from error
    finished = _finished(signature, material, outputs, labelling)
    how = Compared(original.signature.decision, finished.outputs, material.request.tolerance)
    return Candidate(
        signature=finished,
        engine=engine,
        files={engine.file: graph},
        runner=runner,
        inputs=inputs,
        parity=compare(original.outputs, outputs, how),
        parity_float32=compare(_on_float32(original, inputs), outputs, how),
    )


def _on_float32(original: Original, inputs: Tensors) -> Tensors:
    """Return the original's answers to the rows as float32 holds them."""
    doubles = {name: v.astype(np.float64) if v.dtype == np.float32 else v for name, v in inputs.items()}
    return run_chunks(original.runner, doubles)


def _parity_words(report: ParityReport, rounded: ParityReport | None) -> str:
    words = (
        f"the converted model's scores differ by up to {report.largest_difference:.3g}, more than the tolerance of "
        f"{report.tolerance:.3g}, and {report.changed_decisions} of {report.rows} decisions change"
    )
    if rounded is not None and rounded.passed:
        words += "; on rows rounded to float32 they agree, so the rounding of the inputs is the cause"
    return words


def _graph(material: Material, labelling: Labelling) -> Candidate:
    from fairlead.bundle.given_graph import graph_inputs

    if material.request.engine == "python":
        raise BadInputError("an ONNX file has no Python form: it is served by ONNX Runtime")
    signature, inputs = graph_inputs(material, _rows(material))
    engine = OnnxEngine()
    graph = material.source.convert(signature)
    try:
        runner = _loaded(graph, engine)
    except ConversionError as error:
        raise BadInputError(error.message) from error
    try:
        outputs = run_chunks(runner, inputs)
    except FairleadError:
        raise
    except Exception as error:  # onnxruntime's errors have no common base
        raise BadInputError(f"the graph does not take the sample: {first_line(error)}") from error
    check_finite(outputs)
    finished = _finished(signature, material, outputs, labelling)
    return Candidate(signature=finished, engine=engine, files={engine.file: graph}, runner=runner, inputs=inputs)
