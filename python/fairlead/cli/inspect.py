"""`fairlead inspect`: what a bundle is, for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.output import emit_json

if TYPE_CHECKING:
    from rich.table import Table

    from fairlead.bundle import Bundle
    from fairlead.schema.signature import FeatureSpec


def inspect(
    path: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    json: Annotated[bool, typer.Option("--json", help="Write the documents to stdout as JSON.")] = False,
) -> None:
    """Show a bundle's signature, parity, lineage and files.

    Example: fairlead inspect bundles/fraud-0123456789ab
    """
    from fairlead.bundle import open_bundle

    bundle = open_bundle(path)
    if json:
        emit_json(_plain(bundle))
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"{bundle.name}  sha256 {bundle.sha256}", soft_wrap=True)
    for table in (_features(bundle), _tensors(bundle), _origin(bundle), _files(bundle)):
        console.print(table)


def _plain(bundle: Bundle) -> dict[str, object]:
    return {
        "name": bundle.name,
        "sha256": bundle.sha256,
        "manifest": bundle.manifest.model_dump(mode="json"),
        "signature": bundle.signature.model_dump(mode="json"),
        "checks": bundle.checks.model_dump(mode="json"),
        "lineage": bundle.lineage.model_dump(mode="json"),
        "environment": bundle.environment.model_dump(mode="json"),
        "profile": bundle.profile.model_dump(mode="json"),
    }


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _features(bundle: Bundle) -> Table:
    table = _table("Features", "name", "type", "missing in sample", "allowed", "imputed by")
    profiles = {profile.name: profile for profile in bundle.profile.features}
    for feature in bundle.signature.features:
        profile = profiles.get(feature.name)
        share = f"{profile.missing / profile.count:.1%}" if profile and profile.count else ""
        missing = share if feature.nullable else "not allowed"
        table.add_row(feature.name, feature.type.value, missing, allowed(feature), _text(feature.impute))
    return table


def allowed(feature: FeatureSpec) -> str:
    """Return what may stand in a feature, in words."""
    if feature.categories is not None:
        shown = ", ".join(feature.categories[:5])
        rest = len(feature.categories) - 5
        return f"{shown} and {rest} more" if rest > 0 else shown
    if feature.minimum is None and feature.maximum is None:
        return "any"
    low = "-inf" if feature.minimum is None else f"{feature.minimum:g}"
    high = "inf" if feature.maximum is None else f"{feature.maximum:g}"
    return f"{low} to {high}"


def _tensors(bundle: Bundle) -> Table:
    table = _table("Tensors", "direction", "name", "datatype", "shape")
    for direction, specs in (("in", bundle.signature.inputs), ("out", bundle.signature.outputs)):
        for spec in specs:
            table.add_row(direction, spec.name, spec.datatype.value, str(spec.shape))
    return table


def _origin(bundle: Bundle) -> Table:
    from fairlead.cli.pack import parity_words

    table = _table("Origin and checks", "", "")
    engine, lineage, decision = bundle.manifest.engine, bundle.lineage, bundle.signature.decision
    parity = bundle.checks.parity
    state = {True: " with uncommitted changes", False: "", None: ""}[lineage.git_dirty]
    rows = {
        "engine": engine.kind if engine.kind == "onnx" else f"python ({engine.runtime})",
        "why not ONNX": bundle.checks.fallback,
        "parity": parity_words(parity) if parity else "nothing was converted",
        "decision": decision.task.value if decision else "none",
        "threshold": None if decision is None else decision.threshold,
        "labels": None if decision is None else ", ".join(map(str, decision.labels)),
        "source": lineage.source,
        "git commit": f"{lineage.git_commit}{state}" if lineage.git_commit else None,
        "data": lineage.data_file,
        "data rows": lineage.data_rows,
        "data sha256": lineage.data_sha256,
        "DVC": f"{lineage.dvc.file}: {lineage.dvc.hash} {lineage.dvc.digest}" if lineage.dvc else None,
        "label rate": None if bundle.profile.label_rate is None else f"{bundle.profile.label_rate:.4%}",
        "Python": bundle.environment.python,
        "packages": ", ".join(f"{name} {version}" for name, version in sorted(bundle.environment.packages.items())),
    }
    for label, value in rows.items():
        if value not in (None, ""):
            table.add_row(label, _text(value))
    return table


def _files(bundle: Bundle) -> Table:
    table = _table("Files", "path", "bytes", "sha256")
    for entry in bundle.manifest.files:
        table.add_row(entry.path, f"{entry.size:,}", entry.sha256[:12])
    table.add_row("total", f"{sum(entry.size for entry in bundle.manifest.files):,}", "")
    return table


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)
