"""A bundle that lies in a folder: its documents, and its model to run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from fairlead.bundle.layout import CHECKS, DIGEST, ENVIRONMENT, GOLDEN, LINEAGE, MANIFEST, PROFILE, SIGNATURE
from fairlead.bundle.overrides import said
from fairlead.bundle.predictor import Predictor
from fairlead.bundle.sample import file_sha256
from fairlead.errors import BundleError
from fairlead.schema.base import Document
from fairlead.schema.bundle import Checks, Environment, Lineage, Manifest
from fairlead.schema.golden import Golden
from fairlead.schema.profile import Profile
from fairlead.schema.signature import Signature

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle's documents. `sha256` is its identity."""

    path: Path
    sha256: str
    manifest: Manifest
    signature: Signature
    profile: Profile
    lineage: Lineage
    checks: Checks
    environment: Environment

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.manifest.name

    def golden(self) -> Golden:
        """Return sample rows with the answers expected for them; raises `BundleError`."""
        return _document(self.path, GOLDEN, Golden)

    def predictor(self, *, trust_pickle: bool = False) -> Predictor:
        """Return the model, loaded in this process.

        Raises `BundleError` where a file is not what the manifest says, where it would have to be unpickled and that
        was not allowed, or where the model cannot be loaded.
        """
        for entry in self.manifest.files:
            path = self.path / entry.path
            if not path.is_file() or file_sha256(path) != entry.sha256:
                raise BundleError(f"{self.path.name}: {entry.path} is not what the manifest says")
        return Predictor.load(self.path, self.manifest, self.signature, trust_pickle=trust_pickle)


def open_bundle(path: str | Path) -> Bundle:
    """Read a bundle's documents, without its model.

    Raises `BundleError` where there is no bundle, or a document is not what its manifest says.
    """
    folder = Path(path)
    if not (folder / MANIFEST).is_file():
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}", hint="`fairlead pack` makes one")
    content = (folder / MANIFEST).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if not (folder / DIGEST).is_file() or (folder / DIGEST).read_text().strip() != sha256:
        raise BundleError(f"{folder.name}: {MANIFEST} and {DIGEST} do not agree", hint="`fairlead verify` says more")
    return Bundle(
        path=folder,
        sha256=sha256,
        manifest=_document(folder, MANIFEST, Manifest),
        signature=_document(folder, SIGNATURE, Signature),
        profile=_document(folder, PROFILE, Profile),
        lineage=_document(folder, LINEAGE, Lineage),
        checks=_document(folder, CHECKS, Checks),
        environment=_document(folder, ENVIRONMENT, Environment),
    )


def _document(folder: Path, name: str, kind: type[D]) -> D:
    try:
        return kind.read(folder / name)
    except OSError as error:
        raise BundleError(f"{folder.name}: {name} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise BundleError(f"{folder.name}: {name}: {said(error)}") from error
