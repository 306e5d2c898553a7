"""Bundles that `pack` does not make: hand-written graphs, other engine settings, and broken ones."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from fairlead.bundle.layout import DIGEST, MANIFEST, SHORT, SIGNATURE, file_entries
from fairlead.schema.bundle import Manifest, OnnxEngine
from fairlead.schema.signature import Signature

MODEL = "model.onnx"


def written(out: Path, name: str, signature: Signature, graph: bytes) -> Path:
    """Write a bundle of `graph`, whatever it is, with every digest right; return its folder."""
    files = {SIGNATURE: signature.canonical_json(), MODEL: graph}
    manifest = Manifest(name=name, engine=OnnxEngine(file=MODEL), files=file_entries(files))
    folder = _folder(out, manifest)
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        (folder / path).write_bytes(content)
    return _sealed(folder, manifest)


def reforged(bundle: Path, **engine: Any) -> Path:
    """Return a copy of `bundle` with other engine settings and every digest right."""
    old = Manifest.read(bundle / MANIFEST)
    manifest = old.model_copy(update={"engine": type(old.engine).model_validate(old.engine.model_dump() | engine)})
    folder = _folder(bundle.parent, manifest)
    if folder != bundle:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)
    return _sealed(folder, manifest)


def damaged(bundle: Path, file: str, out: Path) -> Path:
    """Return a copy of `bundle` under `out` with one bit of `file` flipped."""
    folder = out / bundle.name
    shutil.copytree(bundle, folder)
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / file).write_bytes(bytes(content))
    return folder


def _folder(out: Path, manifest: Manifest) -> Path:
    return out / f"{manifest.name}-{_digest(manifest)[:SHORT]}"


def _digest(manifest: Manifest) -> str:
    return hashlib.sha256(manifest.canonical_json()).hexdigest()


def _sealed(folder: Path, manifest: Manifest) -> Path:
    (folder / MANIFEST).write_bytes(manifest.canonical_json())
    (folder / DIGEST).write_text(f"{_digest(manifest)}\n")
    return folder
