"""`fairlead pack`: a model and a sample of its data become a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.output import emit_json, emit_text, say
from fairlead.errors import BadInputError

if TYPE_CHECKING:
    from fairlead.bundle import PackResult
    from fairlead.schema.bundle import ParityReport

ENGINES = ("auto", "onnx", "python")


def pack(
    source: Annotated[str, typer.Argument(help="Model file, or module:attribute of an estimator or a function.")],
    name: Annotated[str, typer.Option(help="Name of the bundle.")],
    data: Annotated[Path, typer.Option(help="Sample of the training data, .parquet or .csv.")],
    target: Annotated[str | None, typer.Option(help="Column with the truth; no feature.")] = None,
    out: Annotated[Path, typer.Option(help="Folder that the bundle is put into.")] = Path("bundles"),
    threshold: Annotated[float | None, typer.Option(help="Score from which the positive class is decided.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Largest score difference that a conversion may make [default: 0.0001].")
    ] = None,
    segment: Annotated[list[str] | None, typer.Option(help="Column with rates of its own; repeatable.")] = None,
    signature: Annotated[Path | None, typer.Option(help="YAML or JSON file that overrides the signature.")] = None,
    features: Annotated[str | None, typer.Option(help="The model's columns in its order, separated by commas.")] = None,
    engine: Annotated[str, typer.Option(help="auto, onnx (fail if not) or python (do not try).")] = "auto",
    engine_option: Annotated[
        list[str] | None,
        typer.Option(help="key=value of the engine, such as arena=false or workers=4; repeatable."),
    ] = None,
    trust_pickle: Annotated[bool, typer.Option("--trust-pickle", help="Load a pickle, which can run code.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result to stdout as JSON.")] = False,
) -> None:
    """Make a bundle of a trained model and a sample of its data.

    Prints the bundle's folder. What can be is converted to ONNX and compared with the original on the sample.

    Example: fairlead pack model.txt --name fraud --data sample.parquet --target is_fraud
    """
    from fairlead.bundle import PackRequest
    from fairlead.bundle import pack as make
    from fairlead.bundle.engine_options import parse_options
    from fairlead.bundle.parity import DEFAULT_TOLERANCE

    if engine not in ENGINES:
        raise BadInputError(f"--engine is {engine!r}", hint=f"one of {', '.join(ENGINES)}")
    result = make(
        PackRequest(
            source=source,
            name=name,
            data=data,
            target=target,
            out=out,
            threshold=threshold,
            tolerance=DEFAULT_TOLERANCE if tolerance is None else tolerance,
            segments=tuple(segment or ()),
            overrides=signature,
            features=None if features is None else [part.strip() for part in features.split(",")],
            engine=engine,  # type: ignore[arg-type]  # one of ENGINES, as checked
            trust_pickle=trust_pickle,
            engine_options=parse_options(engine_option or []),
        )
    )
    _tell(result)
    if json:
        emit_json(_plain(result))
    else:
        emit_text(str(result.path))


def _plain(result: PackResult) -> dict[str, object]:
    rounded = result.parity_float32
    return {
        "path": str(result.path),
        "name": result.manifest.name,
        "sha256": result.sha256,
        "engine": result.manifest.engine.model_dump(mode="json"),
        "requires_trust": result.manifest.requires_trust,
        "checks": result.checks.model_dump(mode="json"),
        "parity_float32": rounded.model_dump(mode="json") if rounded else None,
        "decision": result.signature.decision.model_dump(mode="json") if result.signature.decision else None,
        "features": [feature.name for feature in result.signature.features],
        "rows": result.profile.rows,
        "label_rate": result.profile.label_rate,
    }


def _tell(result: PackResult) -> None:
    say(f"{result.manifest.name}: {len(result.signature.features)} features, {result.profile.rows} sample rows")
    if result.checks.parity is not None:
        say(f"parity: {parity_words(result.checks.parity)}")
    if result.parity_float32 is not None and result.parity_float32 != result.checks.parity:
        say(f"parity on rows rounded to float32: {parity_words(result.parity_float32)}")
    if result.checks.fallback is not None:
        say(f"engine: python, not onnx: {result.checks.fallback}")
    else:
        say(f"engine: {result.manifest.engine.kind}")
    if result.manifest.requires_trust:
        say("this bundle holds a pickle: serve it with --trust-pickle")
    say(f"sha256: {result.sha256}")


def parity_words(report: ParityReport) -> str:
    """Return a parity report as one line."""
    verdict = "within" if report.passed else "ABOVE"
    return (
        f"largest difference {report.largest_difference:.3g} ({verdict} the tolerance of {report.tolerance:g}), "
        f"{report.changed_decisions} of {report.rows} decisions changed"
    )
