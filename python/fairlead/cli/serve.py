"""`fairlead serve`: the data plane, in this process."""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from socket import gethostname
from typing import Annotated

import typer

from fairlead.cli.output import emit_json, say
from fairlead.errors import BadInputError, FairleadError
from fairlead.schema.serve import ControlLink, Limits, Listener, LogOptions, ServeOptions
from fairlead.schema.snapshot import (
    Batching,
    BundleReference,
    Dispatch,
    Durability,
    Endpoint,
    EngineOptions,
    Role,
    Snapshot,
    Validation,
    Variant,
)

_NO_PORT = "cannot listen on"
"""What the data plane says of an address that it does not get."""
LOG_LEVELS = ("error", "warn", "info", "debug", "trace")


def serve(
    bundle: Annotated[Path | None, typer.Option(help="Folder of the bundle to serve.")] = None,
    snapshot: Annotated[Path | None, typer.Option(help="Snapshot file (JSON) with any number of endpoints.")] = None,
    name: Annotated[str | None, typer.Option(help="Endpoint name [default: the bundle's name].")] = None,
    version: Annotated[str, typer.Option(help="Version label of the bundle.")] = "1",
    host: Annotated[str, typer.Option(help="Address for predictions.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port for predictions; 0 takes any.")] = 8080,
    admin_host: Annotated[str, typer.Option(help="Address for administration.")] = "127.0.0.1",
    admin_port: Annotated[int, typer.Option(min=0, max=65535, help="Port for administration; 0 takes any.")] = 8081,
    log: Annotated[Path, typer.Option(help="Folder of the prediction log.")] = Path("predictions"),
    durability: Annotated[Durability, typer.Option(help="What the log promises before an answer.")] = (
        Durability.BUFFERED
    ),
    validation: Annotated[Validation, typer.Option(help="What happens to rows that break the signature.")] = (
        Validation.REJECT
    ),
    unit_key: Annotated[str | None, typer.Option(help="Record field that names the unit (customer, card).")] = None,
    dispatch: Annotated[Dispatch, typer.Option(help="Where the model runs; auto measures it.")] = Dispatch.AUTO,
    instances: Annotated[int, typer.Option(min=1, help="Engine threads, where the model runs on threads.")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Python worker processes.")] = None,
    intra_op_threads: Annotated[int | None, typer.Option(min=1, help="Threads of one model call.")] = None,
    worker_timeout_ms: Annotated[int | None, typer.Option(min=1, help="Longest time of a batch in a worker.")] = None,
    worker_memory_mb: Annotated[int | None, typer.Option(min=64, help="What a worker may allocate.")] = None,
    native_trees: Annotated[
        bool, typer.Option(help="Run tree ensembles without ONNX Runtime, if answers are equal.")
    ] = True,
    max_batch_rows: Annotated[int, typer.Option(min=1, help="Rows in one model call.")] = 256,
    max_wait_us: Annotated[int, typer.Option(min=0, help="Microseconds a lone request waits for company.")] = 0,
    queue_rows: Annotated[int, typer.Option(min=1, help="Rows in flight; beyond that requests wait.")] = 4096,
    queue_wait_ms: Annotated[int, typer.Option(min=0, max=60_000, help="... so long for room, then 429.")] = 100,
    deadline_ms: Annotated[int, typer.Option(min=1, help="Longest time a request may take.")] = 2000,
    io_threads: Annotated[int, typer.Option(min=0, help="I/O threads; 0: the CPUs granted.")] = 0,
    max_body_mb: Annotated[int, typer.Option(min=1, help="Largest request body.")] = 32,
    connections: Annotated[int, typer.Option(min=1, help="Open connections at once.")] = 16_384,
    header_timeout_ms: Annotated[int, typer.Option(min=1, help="Longest wait for a request's head, or body.")] = 30_000,
    grace: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds that requests may go on after SIGTERM.")
    ] = 30.0,
    shutdown_delay: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds of them in which new connections are still taken.")
    ] = 0.25,
    log_retention_mb: Annotated[int | None, typer.Option(min=1, help="Oldest log segments go beyond this.")] = None,
    log_retention_hours: Annotated[float | None, typer.Option(min=0, help="Log segments go when older.")] = None,
    state: Annotated[Path | None, typer.Option(help="Folder that keeps the last good snapshot.")] = None,
    trust_pickle: Annotated[bool, typer.Option("--trust-pickle", help="Load pickled models, which can run code.")] = (
        False
    ),
    region: Annotated[str | None, typer.Option(envvar="FAIRLEAD_REGION", help="Where this replica runs.")] = None,
    control: Annotated[
        str | None, typer.Option(envvar="FAIRLEAD_CONTROL", help="Control plane to follow and report to.")
    ] = None,
    control_key: Annotated[
        str | None, typer.Option(envvar="FAIRLEAD_KEY", show_envvar=True, help="API key for it.")
    ] = None,
    follow: Annotated[bool, typer.Option(help="Apply its snapshots; else only report to it.")] = True,
    replica: Annotated[str | None, typer.Option(help="Name of this replica [default: host and process].")] = None,
    report_ms: Annotated[int, typer.Option(min=50, max=60_000, help="Milliseconds between two reports.")] = 500,
    log_level: Annotated[str, typer.Option(help="error, warn, info, debug or trace.")] = "warn",
    json: Annotated[bool, typer.Option("--json", help="Write the addresses to stdout as JSON.")] = False,
) -> int:
    """Serve bundles over HTTP until SIGTERM or Ctrl-C; what is in flight is finished first.

    Example: fairlead serve --bundle bundles/fraud-0123456789ab --port 8080 --log predictions
    """
    if log_level not in LOG_LEVELS:
        raise BadInputError(f"--log-level is {log_level!r}", hint=f"one of {', '.join(LOG_LEVELS)}")
    sources = [source for source in (bundle, snapshot) if source is not None]
    if len(sources) > 1 or not (sources or control):
        raise BadInputError("give either --bundle or --snapshot, or --control", hint="see `fairlead serve --help`")
    if snapshot is not None:
        desired = read_snapshot(snapshot)
    elif bundle is None:
        desired = Snapshot(generation=0)
    else:
        endpoint = Endpoint(
            name=name or bundle_name(Path(str(bundle))),
            variants=[
                Variant(
                    role=Role.CHAMPION, version=version, bundle=BundleReference(path=str(Path(str(bundle)).resolve()))
                )
            ],
            validation=validation,
            durability=durability,
            deadline_ms=deadline_ms,
            unit_key=unit_key,
            batching=Batching(
                max_rows=max_batch_rows, max_wait_us=max_wait_us, queue_rows=queue_rows, queue_wait_ms=queue_wait_ms
            ),
            engine=EngineOptions(
                dispatch=dispatch,
                instances=instances,
                workers=workers,
                intra_op_threads=intra_op_threads,
                timeout_ms=worker_timeout_ms,
                memory_mb=worker_memory_mb,
                native_trees=native_trees,
            ),
        )
        desired = Snapshot(endpoints=[endpoint])
    if log.exists() and not log.is_dir():
        raise BadInputError(f"prediction log {log} is not a folder", hint="--log names one")
    options = ServeOptions(
        snapshot=desired,
        listen=Listener(host=host, port=port),
        admin=Listener(host=admin_host, port=admin_port),
        log=LogOptions(
            directory=str(log.resolve()),
            retention_bytes=None if log_retention_mb is None else log_retention_mb * 1024 * 1024,
            retention_hours=log_retention_hours or None,
        ),
        limits=Limits(
            body_bytes=max_body_mb * 1024 * 1024, connections=connections, header_timeout_ms=header_timeout_ms
        ),
        state_directory=None if state is None else str(state.resolve()),
        io_threads=io_threads,
        grace_seconds=grace,
        shutdown_delay_seconds=shutdown_delay,
        region=region,
        control=None
        if control is None
        else ControlLink(
            url=control,
            key=control_key,
            replica=replica or f"{gethostname()}-{os.getpid()}",
            report_ms=report_ms,
            follow=follow,
        ),
        trust_pickle=trust_pickle,
        onnxruntime_library=onnxruntime_library(),
        python=sys.executable,
    )
    return run(options, log_level, json)


def run(options: ServeOptions, log_level: str, as_json: bool) -> int:
    """Serve until a signal; 0 where everything in flight was finished, else 1. Raises `FairleadError`."""
    from fairlead import _core

    def started(port: int, admin_port: int, seconds: float) -> None:
        url, admin = f"http://{options.listen.host}:{port}", f"http://{options.admin.host}:{admin_port}"
        if as_json:
            emit_json({"url": url, "admin_url": admin, "seconds": round(seconds, 4)})
        names = ", ".join(endpoint.name for endpoint in options.snapshot.endpoints) or "no endpoint"
        say(f"serving {names} at {url} (docs at {url}/docs, administration at {admin})")

    _core.init_logging(log_level)
    # The data plane handles Ctrl-C; Python's own handler would raise KeyboardInterrupt after it has ended well.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        finished = _core.serve(options.model_dump_json(), started)
    except _core.CoreError as error:
        code, message = error.args
        # What keeps a process from starting (an address in use, say) has no code of the catalogue.
        said = message if code == "internal" else f"{code}: {message}"
        hint = "--port and --admin-port take others; 0 takes any" if said.startswith(_NO_PORT) else hint_for(code)
        raise FairleadError(said, hint=hint) from None
    return 0 if finished else 1


def hint_for(code: str) -> str | None:
    """Return what the error catalogue advises for `code`."""
    from fairlead.schema.catalogue import ERRORS

    return next((spec.hint for spec in ERRORS if spec.code == code and code != "internal"), None)


def bundle_name(folder: Path) -> str:
    """Return the name that a bundle's manifest gives it; raises `BadInputError` where there is no bundle."""
    from pydantic import ValidationError

    from fairlead.schema.bundle import Manifest

    try:
        return Manifest.read(folder / "manifest.json").name
    except OSError as error:
        raise BadInputError(f"{folder} is not a bundle: {error.strerror}: manifest.json") from None
    except ValidationError as error:
        raise BadInputError(f"{folder / 'manifest.json'}: {first_error(error)}") from None


def read_snapshot(path: Path) -> Snapshot:
    """Return the snapshot in `path`, with its bundle paths made absolute; raises `BadInputError`."""
    from pydantic import ValidationError

    try:
        snapshot = Snapshot.read(path)
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise BadInputError(f"{path}: {first_error(error)}") from None
    document = snapshot.model_dump()
    for endpoint in document["endpoints"]:
        for variant in endpoint["variants"]:
            reference = variant["bundle"]
            reference["path"] = str((path.parent / reference["path"]).resolve())
    return Snapshot.model_validate(document)


def first_error(error: object) -> str:
    """Return `where: what` of a pydantic error's first complaint."""
    from pydantic import ValidationError

    assert isinstance(error, ValidationError)
    complaint = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in complaint["loc"]) or "document"
    return f"{where}: {complaint['msg']}"


def onnxruntime_library() -> str:
    """Return the absolute path of the shared library in the installed onnxruntime wheel, which is not imported."""
    spec = find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        raise FairleadError("onnxruntime is not installed", hint="pip install onnxruntime")
    folder = Path(spec.origin).resolve().parent / "capi"
    found = sorted([*folder.glob("libonnxruntime.so*"), *folder.glob("libonnxruntime*.dylib")])
    if not found:
        raise FairleadError(f"no libonnxruntime in {folder}", hint="install onnxruntime 1.22 or newer")
    return str(found[-1])
