"""Bundles for a data plane on this machine, where storage is not a folder of it."""

from __future__ import annotations

from pathlib import Path

from fairlead.control.context import Control
from fairlead.errors import StoreError
from fairlead.registry.desired import DOWNLOAD
from fairlead.schema.bundle import Manifest
from fairlead.schema.snapshot import Snapshot
from fairlead.store.objects import DirectoryStorage
from fairlead.store.state import bundles


def localised(snapshot: Snapshot, control: Control, cache: Path) -> Snapshot:
    """Return the snapshot with every bundle in a folder of this machine, fetched and verified where it was not.

    Raises `StoreError`.
    """
    if control.storage.shared:
        return snapshot
    document = snapshot.model_dump()
    for endpoint in document["endpoints"]:
        for variant in endpoint["variants"]:
            reference = variant["bundle"]
            if reference["path"].startswith(DOWNLOAD):
                reference["path"] = _folder(reference["path"].removeprefix(DOWNLOAD), control, cache)
    return Snapshot.model_validate(document)


def _folder(sha256: str, control: Control, cache: Path) -> str:
    from fairlead.bundle import verify  # numpy and pyarrow: only where bundles are fetched

    local = DirectoryStorage(cache)
    with control.database.read() as transaction:
        record = bundles.get(transaction, sha256)
        documents = bundles.documents(transaction, sha256)
    if record is None or documents is None:
        raise StoreError(f"the snapshot names bundle {sha256[:12]}, which the registry does not have")
    manifest: Manifest = documents.manifest
    there = cache / f"{manifest.name}-{sha256[:12]}"
    if there.is_dir() and not verify(there):
        return str(there.resolve())
    with local.staging() as folder:
        for path in (*(entry.path for entry in manifest.files), "manifest.json", "DIGEST"):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                file.writelines(control.storage.read(record.location, path))
        if findings := verify(folder):
            raise StoreError(f"bundle {sha256[:12]} in storage is not sound: {findings[0]}")
        return local.path(local.keep(folder, manifest, sha256))
