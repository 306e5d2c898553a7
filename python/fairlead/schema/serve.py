"""What one data-plane process is started with."""

from __future__ import annotations

from pydantic import Field

from fairlead.schema.base import Document
from fairlead.schema.snapshot import Snapshot


class Listener(Document):
    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65_535)
    """0: any free port, printed at start."""


class LogOptions(Document):
    """The prediction log of one data-plane process."""

    directory: str
    segment_bytes: int = Field(default=64 * 1024 * 1024, ge=4_096)
    """A segment is closed and a new one begun past this size."""
    segment_seconds: int = Field(default=300, ge=1)
    """... or this age."""
    flush_ms: int = Field(default=100, ge=1)
    """Buffered rows reach the file at least this often: the bound on what a crash may lose."""
    queue_rows: int = Field(default=262_144, ge=1)
    """Rows handed over and not yet written; beyond that requests are refused with 503."""
    retention_bytes: int | None = Field(default=None, ge=1)
    """Oldest closed segments are removed past this total; None: keep all."""
    retention_hours: float | None = Field(default=None, gt=0)


class Limits(Document):
    body_bytes: int = Field(default=32 * 1024 * 1024, ge=1_024)
    """Largest request body; beyond that 413."""
    request_rows: int = Field(default=16_384, ge=1)
    """Most rows in one request; beyond that 413."""
    connections: int = Field(default=16_384, ge=1)
    header_timeout_ms: int = Field(default=30_000, ge=1)
    """Longest wait for a whole request head on a connection."""


class ControlLink(Document):
    """Where the control plane is, and who this replica is to it."""

    url: str = Field(min_length=1)
    """`http://HOST[:PORT]`; TLS ends at a proxy beside the process."""
    key: str | None = Field(default=None, repr=False)
    """API key of the role operator; None: the control plane asks for none."""
    replica: str = Field(min_length=1, max_length=200)
    """Name of this replica, unique among those that run."""
    report_ms: int = Field(default=500, ge=50, le=60_000)
    """Milliseconds between two reports of what was counted."""
    follow: bool = True
    """Apply the control plane's snapshots; False where somebody else brings them, and this is only told."""


class ServeOptions(Document):
    """`fairlead serve`, after files were read and flags resolved; handed to the data plane as JSON."""

    snapshot: Snapshot
    listen: Listener = Listener(port=8080)
    admin: Listener = Listener(port=8081)
    log: LogOptions
    limits: Limits = Limits()
    state_directory: str | None = None
    """Where the last good snapshot is kept; None: nowhere."""
    io_threads: int = Field(default=0, ge=0, le=256)
    """0: as many as the cgroup grants CPUs."""
    grace_seconds: float = Field(default=30.0, ge=0, le=86_400)
    """How long in-flight requests may go on after SIGTERM."""
    shutdown_delay_seconds: float = Field(default=0.25, ge=0, le=86_400)
    """Part of that: how long new connections are still taken, while load balancers learn that this replica leaves."""
    region: str | None = Field(default=None, max_length=100)
    """Where this replica runs; rollouts may go region by region."""
    control: ControlLink | None = None
    """Follow this control plane's snapshots and report to it; None: only what `snapshot` and the admin listener say."""
    trust_pickle: bool = False
    """Load bundles whose model would be unpickled."""
    onnxruntime_library: str
    """Absolute path of the wheel's libonnxruntime."""
    python: str
    """Absolute path of the interpreter for worker processes."""
