"""`fairlead up`: both planes on one machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.output import emit_json, say
from fairlead.errors import BadInputError, FairleadError
from fairlead.schema.control import KeyRole

if TYPE_CHECKING:
    from fairlead.control.settings import LogFolder

DATABASE = "control.db"


def up(
    data_dir: Annotated[Path, typer.Option(help="Folder for state, bundles and logs.")] = Path("fairlead-data"),
    database_url: Annotated[
        str | None,
        typer.Option(envvar="FAIRLEAD_DATABASE_URL", help="postgresql://... [default: SQLite in the data folder]"),
    ] = None,
    bundles: Annotated[
        str | None,
        typer.Option(envvar="FAIRLEAD_BUNDLES", help="Bundle storage: a folder or s3://bucket/prefix."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address of the control plane.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port; 0 takes any.")] = 8090,
    public_url: Annotated[
        str | None,
        typer.Option(
            envvar="FAIRLEAD_PUBLIC_URL",
            help="Where others reach the control plane, behind a proxy or from outside a container.",
        ),
    ] = None,
    data_host: Annotated[str, typer.Option(help="Address for predictions.")] = "127.0.0.1",
    data_port: Annotated[int, typer.Option(min=0, max=65535, help="Port for predictions; 0 takes any.")] = 8080,
    region: Annotated[str | None, typer.Option(envvar="FAIRLEAD_REGION", help="Where this data plane runs.")] = None,
    data_plane: Annotated[bool, typer.Option("--data-plane/--no-data-plane", help="Serve predictions too.")] = True,
    prediction_log: Annotated[
        list[str] | None,
        typer.Option(help="[REGION=]FOLDER: prediction log of replicas elsewhere, to join outcomes with; repeatable."),
    ] = None,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that requests may go on after SIGTERM.")] = 30.0,
    lease: Annotated[float, typer.Option(min=0.5, help="Seconds of silence after which a leader is replaced.")] = 10.0,
    stale: Annotated[float, typer.Option(min=0.5, help="Seconds of silence after which a replica is stale.")] = 15.0,
    mlflow_role: Annotated[
        KeyRole, typer.Option(help="What moving an alias in MLflow may do here (with MLFLOW_TRACKING_URI).")
    ] = KeyRole.OPERATOR,
    mlflow_every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks at the MLflow server.")] = 5.0,
    trust_pickle: Annotated[bool, typer.Option("--trust-pickle", help="Load pickled models, which can run code.")] = (
        False
    ),
    json: Annotated[bool, typer.Option("--json", help="Write the addresses to stdout as JSON.")] = False,
) -> int:
    """Run the control plane, and beside it a data plane that serves what it says, until SIGTERM or Ctrl-C.

    Example: fairlead up --data-dir fairlead-data --port 8090
    """
    need_control()
    from fairlead.control import DataPlane, Settings
    from fairlead.control.run import run
    from fairlead.control.settings import checked_url

    folder = data_dir.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"cannot make {folder}: {error.strerror}") from None
    plane = DataPlane(
        folder=folder / "data-plane",
        host=data_host,
        port=data_port,
        grace_seconds=grace,
        trust_pickle=trust_pickle,
        region=region,
    )
    settings = Settings(
        database_url=database_url or sqlite_url(folder),
        bundles=bundles or str(folder / "bundles"),
        host=host,
        port=port,
        public_url=None if public_url is None else checked_url(public_url),
        lease_seconds=lease,
        stale_seconds=stale,
        trust_pickle=trust_pickle,
        mlflow_uri=os.environ.get("MLFLOW_TRACKING_URI") or None,
        mlflow_role=mlflow_role,
        mlflow_seconds=mlflow_every,
        data_plane=plane if data_plane else None,
        other_logs=tuple(map(_log_folder, prediction_log or ())),
    )

    def ready(addresses: Mapping[str, str]) -> None:
        if json:
            emit_json(dict(addresses))
        url = addresses.get("public_url", addresses["url"])
        say(f"control plane at {url} (API docs at {url}/api/docs)")
        if url != addresses["url"]:
            say(f"it listens at {addresses['url']}")
        if "data_url" in addresses:
            say(f"predictions at {addresses['data_url']}")

    return run(settings, ready)


def _log_folder(text: str) -> LogFolder:
    from fairlead.control.settings import LogFolder

    region, given, folder = text.partition("=")
    # A path may have a = in it; a region has no slash.
    if not given or "/" in region:
        region, folder = "", text
    return LogFolder(Path(folder).resolve(), region or None)


def sqlite_url(folder: Path) -> str:
    """Return the address of the database in a data folder."""
    return f"sqlite:///{folder.resolve() / DATABASE}"


def need_control() -> None:
    """Raise `FairleadError` where a library of the extra is missing."""
    for name in ("sqlalchemy", "alembic", "fastapi", "uvicorn"):
        if find_spec(name) is None:
            raise FairleadError(f"{name} is not installed", hint="pip install 'fairlead[control]'")
