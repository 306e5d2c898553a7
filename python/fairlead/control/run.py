"""One control-plane process, from start to end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import uvicorn

from fairlead.control.app import build, create_app, prepare
from fairlead.control.context import Control
from fairlead.control.dataplane import Supervisor
from fairlead.control.settings import Settings
from fairlead.errors import FairleadError

GRACE_SECONDS = 10

Ready = Callable[[Mapping[str, str]], None]
"""Told the addresses once everything answers."""


class _Server(uvicorn.Server):
    """Uvicorn, which tells when it listens, and lets long polls go when it is asked to end."""

    def __init__(self, config: uvicorn.Config, control: Control, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._control, self._ready = control, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._control.feed.close()
        super().handle_exit(sig, frame)


def run(settings: Settings, ready: Ready) -> int:
    """Run until SIGINT or SIGTERM and return the exit code. Raises `FairleadError` where it cannot start."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    control = build(settings)
    listener = _listen(settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    return asyncio.run(_run(control, listener, ready))


def _interrupt(number: int, frame: Any) -> None:  # noqa: ARG001 - signal calls it so
    """Break off the start. While the server runs it handles signals itself."""
    raise KeyboardInterrupt


def _ignore(number: int, frame: Any) -> None:
    """Swallow the signal that uvicorn raises once more at its end."""


async def _run(control: Control, listener: socket.socket, ready: Ready) -> int:
    settings = control.settings
    await prepare(control)
    addresses = {"url": f"http://{_shown(settings.host)}:{listener.getsockname()[1]}"}
    if settings.public_url is not None:
        addresses["public_url"] = settings.public_url
    companions: list[Coroutine[Any, Any, None]] = []
    supervisor = None
    if settings.data_plane is not None:
        supervisor = Supervisor(control, settings.data_plane)
        told = await supervisor.start(addresses["url"])
        addresses |= {"data_url": told.url, "data_admin_url": told.admin_url}
        companions.append(supervisor.supervise(told))
    config = uvicorn.Config(
        create_app(control, *companions),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=75,  # longer than a long poll, so that replicas keep their connection
    )
    server = _Server(config, control, lambda: ready(addresses))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignore)
    await server.serve(sockets=[listener])
    return 0 if supervisor is None else abs(await supervisor.stop())


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        # Python repeats the address behind the words of the system.
        why = str(error.strerror).partition(" (while")[0]
        hint = "--port takes another; 0 takes any"
        raise FairleadError(f"cannot listen on {settings.host}:{settings.port}: {why}", hint=hint) from None


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
