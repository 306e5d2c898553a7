"""What one control-plane process is started with."""

from __future__ import annotations

import os
import re
import secrets
import socket
import uuid
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from fairlead.errors import BadInputError
from fairlead.schema.control import KeyRole


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataPlane:
    """The `fairlead serve` that runs beside the control plane."""

    folder: Path
    """For its log, its last good snapshot, and bundles fetched for it."""
    host: str = "127.0.0.1"
    port: int = 8080
    grace_seconds: float = 30.0
    trust_pickle: bool = False
    replica: str = field(default_factory=socket.gethostname)
    """Its name in reports."""
    region: str | None = None

    @property
    def log(self) -> Path:
        """Folder of its prediction log."""
        return self.folder / "predictions"


@dataclass(frozen=True, slots=True)
class LogFolder:
    """A prediction log that this process can read."""

    path: Path
    """The folder that `fairlead serve --log` names."""
    region: str | None = None
    """Of the replicas that write it; where a rollout goes through regions only logs of named ones are compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All of it; the defaults are those of `fairlead up`."""

    database_url: str
    bundles: str
    """Folder or URL of bundle storage."""
    host: str = "127.0.0.1"
    port: int = 8090
    public_url: str | None = None
    """Where others reach it, as `checked_url` returns it; None: where it listens."""
    lease_seconds: float = 10.0
    """A leader that is silent for this long is replaced."""
    stale_seconds: float = 15.0
    """A replica that is silent for this long is stale."""
    start_seconds: float = 60.0
    """How long the start may wait for the database."""
    max_bundle_bytes: int = 8 * 1024**3
    trust_pickle: bool = False
    mlflow_uri: str | None = None
    mlflow_role: KeyRole = KeyRole.OPERATOR
    """What somebody who moves an alias in MLflow may do here."""
    mlflow_seconds: float = 5.0
    holder: str = field(default_factory=_holder)
    """This process, in the leader lease."""
    data_plane: DataPlane | None = None
    other_logs: tuple[LogFolder, ...] = ()
    """Prediction logs of replicas elsewhere."""
    companion_key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """What the data plane beside this process shows; nobody else ever learns it."""

    @property
    def logs(self) -> tuple[LogFolder, ...]:
        """Every prediction log that is known: outcomes are joined with what is in them."""
        plane = self.data_plane
        own = () if plane is None else (LogFolder(plane.log, plane.region),)
        return (*own, *self.other_logs)

    @property
    def private(self) -> bool:
        """Nobody from outside can reach it: behind a proxy on this machine callers only seem to be here."""
        public = None if self.public_url is None else urlsplit(self.public_url).hostname
        return is_loopback(self.host) and (public is None or is_loopback(public))


def checked_url(text: str) -> str:
    """Return an address that others can put paths behind, without a slash at its end; raises `BadInputError`."""
    expected = "expected http(s)://HOST[:PORT][/PATH]"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadInputError(f"public URL {text!r}: {error}", hint=expected) from None
    if "@" in parts.netloc:
        raise BadInputError("the public URL has a user or a password in it", hint=expected)
    wrong = parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or re.search(r"[\s?#]", text)
    if wrong:
        raise BadInputError(f"public URL {text!r} is none that others can use", hint=expected)
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Return True for an address or name of this machine only."""
    name = host.strip("[]")
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
