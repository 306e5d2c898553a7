"""A bundle's way into the registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.errors import BundleError, ControlError
from fairlead.registry.rules import Actor
from fairlead.schema.control import KeyRole
from fairlead.schema.registry import BundleDocuments, BundleRecord, Verdict
from fairlead.store.objects import BundleStorage
from fairlead.store.state import Database, bundles, decisions, webhooks
from fairlead.store.state.decisions import Decision

if TYPE_CHECKING:
    from fairlead.bundle import Bundle


def push(database: Database, storage: BundleStorage, folder: Path, actor: Actor) -> tuple[BundleRecord, bool]:
    """Verify the bundle in a folder of `storage.staging()`, keep it, and enter it; False where it was there already.

    Raises `ControlError` (`forbidden`, `bundle_refused`) and `StoreError`.
    """
    actor.must_be(KeyRole.OPERATOR, "push a bundle")
    bundle = _sound(folder)
    with database.read() as transaction:
        known = bundles.get(transaction, bundle.sha256)
    if known is not None:
        return known, False
    # Kept before it is entered: what the registry names is there. What is kept and never entered harms nobody.
    location = storage.keep(folder, bundle.manifest, bundle.sha256)
    documents = BundleDocuments(
        manifest=bundle.manifest,
        signature=bundle.signature,
        profile=bundle.profile,
        lineage=bundle.lineage,
        checks=bundle.checks,
        environment=bundle.environment,
    )
    with database.change() as transaction:
        known = bundles.get(transaction, bundle.sha256)
        if known is not None:
            return known, False
        record = BundleRecord(
            sha256=bundle.sha256,
            name=bundle.name,
            version=bundles.next_version(transaction, bundle.name),
            engine=_engine(bundle),
            requires_trust=bundle.manifest.requires_trust,
            size=sum(entry.size for entry in bundle.manifest.files),
            location=location,
            pushed_us=transaction.now_us,
            pushed_by=actor.name,
        )
        bundles.add(transaction, record, documents)
        parity = bundle.checks.parity
        evidence = {"name": record.name, "version": record.version, "files": len(bundle.manifest.files)}
        if parity is not None:
            evidence["parity"] = parity.model_dump(mode="json")
        decisions.record(
            transaction, Decision("bundle.pushed", bundle.sha256, Verdict.PASS, actor.name, evidence=evidence)
        )
        webhooks.announce(transaction, "bundle.pushed", record.model_dump(mode="json"))
    return record, True


def _sound(folder: Path) -> Bundle:
    from fairlead.bundle import open_bundle, verify  # numpy and pyarrow: not before the first push

    findings = verify(folder)
    if findings:
        raise ControlError(
            f"the bundle is not sound: {findings[0]}",
            code="bundle_refused",
            details=[{"field": finding.path, "got": finding.problem} for finding in findings],
        )
    try:
        return open_bundle(folder)
    except BundleError as error:
        raise ControlError(error.message, code="bundle_refused") from None


def _engine(bundle: Bundle) -> str:
    engine = bundle.manifest.engine
    return engine.kind if engine.kind == "onnx" else f"{engine.kind} ({engine.runtime})"
