"""Bundle storage: a directory, or an object store that speaks S3."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from fairlead.errors import BadInputError, StoreError
from fairlead.schema.bundle import Manifest

PIECE = 1024 * 1024
_HEAD = ("manifest.json", "DIGEST")
"""Beside the files that the manifest lists. Written last: a bundle is there whole, or not at all."""


class BundleStorage(Protocol):
    """Keeps bundles by their sha256. What is kept is never changed."""

    shared: bool
    """Replicas on this machine read the files themselves; where not, the control plane hands them out."""

    def keep(self, folder: Path, manifest: Manifest, sha256: str) -> str:
        """Take over a verified bundle from a folder of `staging` and return its location in this storage."""
        ...

    def path(self, location: str) -> str:
        """Return what a person would call the place."""
        ...

    def read(self, location: str, file: str) -> Iterator[bytes]:
        """Return a file's content in pieces; raises `FileNotFoundError`, and `StoreError` where storage is away."""
        ...

    def staging(self) -> Any:
        """Give a context with a folder for a bundle that arrives; it is gone afterwards."""
        ...


def open_storage(where: str | Path) -> BundleStorage:
    """Return the storage at a path or a URL (`s3://bucket/prefix`); raises `BadInputError` for another kind.

    An object store takes its address and credentials from the environment, as every tool of the kind does:
    `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`.
    """
    scheme = urlsplit(str(where)).scheme
    if scheme == "s3":
        if not urlsplit(str(where)).netloc:
            raise BadInputError(
                f"bundle storage {str(where)!r} names no bucket", hint="a folder, or s3://bucket/prefix"
            )
        return ObjectStorage(str(where))
    if scheme and "://" in str(where):
        raise BadInputError(f"no bundle storage of kind {scheme!r}", hint="a folder, or s3://bucket/prefix")
    folder = Path(where)
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"bundle storage {folder} is not a folder", hint="a folder, or s3://bucket/prefix")
    return DirectoryStorage(folder)


class DirectoryStorage:
    """Folders named as `fairlead pack` names them."""

    shared = True

    def __init__(self, root: Path) -> None:
        """Take the folder that holds the bundles; it is made when it is needed."""
        self._root = root.resolve()

    def keep(self, folder: Path, manifest: Manifest, sha256: str) -> str:
        """Give the folder its name; one that is there already stays."""
        location = f"{manifest.name}-{sha256[:12]}"
        final = self._root / location
        with _disk():
            if final.is_dir() and (final / "DIGEST").read_text().strip() != sha256:
                location = f"{manifest.name}-{sha256}"  # the short names of two bundles are equal
                final = self._root / location
            if not final.is_dir():
                _sync(folder)
                _rename(folder, final)
        return location

    def path(self, location: str) -> str:
        """Return the absolute path of the folder."""
        return str(self._root / location)

    def read(self, location: str, file: str) -> Iterator[bytes]:
        """Return the file's content in pieces."""
        opened = (self._root / location / file).open("rb")
        with opened:
            while piece := opened.read(PIECE):
                yield piece

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a folder on the same disk, so that `keep` is one rename."""
        with _disk():
            self._root.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=".arriving-", dir=self._root))
            folder.chmod(0o755)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class ObjectStorage:
    """Objects under `PREFIX/SHA256/`."""

    shared = False

    def __init__(self, url: str) -> None:
        """Take `s3://bucket/prefix`; nothing is connected yet."""
        try:
            from obstore.store import S3Store
        except ModuleNotFoundError:
            raise BadInputError("obstore is not installed", hint="pip install 'fairlead[s3]'") from None
        parts = urlsplit(url)
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        options: dict[str, Any] = {"client_options": {"timeout": "30s", "connect_timeout": "5s"}}
        if endpoint:
            options["endpoint"] = endpoint
        if endpoint.startswith("http://"):
            options["client_options"]["allow_http"] = True
        options["retry_config"] = {"max_retries": 3}
        self._url = url.rstrip("/")
        self._store = S3Store(parts.netloc, prefix=parts.path.strip("/") or None, **options)

    def keep(self, folder: Path, manifest: Manifest, sha256: str) -> str:
        """Upload the files, the manifest last."""
        import obstore

        with _objects():
            for path in (*(entry.path for entry in manifest.files), *reversed(_HEAD)):
                obstore.put(self._store, f"{sha256}/{path}", folder / path)
        return sha256

    def path(self, location: str) -> str:
        """Return the URL of the prefix."""
        return f"{self._url}/{location}"

    def read(self, location: str, file: str) -> Iterator[bytes]:
        """Return the object's content in pieces."""
        import obstore

        with _objects():
            found = obstore.get(self._store, f"{location}/{file}")
            for piece in found.stream(min_chunk_size=PIECE):
                yield bytes(piece)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a temporary folder."""
        with tempfile.TemporaryDirectory(prefix="fairlead-arriving-") as folder:
            yield Path(folder)


def _rename(folder: Path, final: Path) -> None:
    try:
        folder.rename(final)
    except OSError:
        if not final.is_dir():  # another push of the same bundle was faster: as good
            raise


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"bundle storage: {error}", code="storage_unavailable") from error


@contextmanager
def _objects() -> Iterator[None]:
    from obstore.exceptions import BaseError, NotFoundError

    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise FileNotFoundError(str(error).splitlines()[0]) from None
    except BaseError as error:
        raise StoreError(f"bundle storage: {str(error).splitlines()[0]}", code="storage_unavailable") from error


def _sync(folder: Path) -> None:
    # The name must not reach the disk before the content.
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
