"""The application: routes, and the loops that live as long as it does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi import FastAPI

from fairlead.control import failures
from fairlead.control.context import Control
from fairlead.control.delivery import Courier
from fairlead.control.feed import Feed
from fairlead.control.leader import Leadership, duty
from fairlead.control.retention import Pruner
from fairlead.control.rollouts.joining import Joiner
from fairlead.control.rollouts.loop import Pilot
from fairlead.control.routes import ROUTERS
from fairlead.control.settings import Settings
from fairlead.control.watch import StaleWatch
from fairlead.errors import StoreError
from fairlead.registry import Publisher
from fairlead.store.objects import open_storage
from fairlead.store.state import Database

PREFIX = "/api/v1"
DELIVERY_SECONDS = 0.25
WATCH_SECONDS = 1.0
STEER_SECONDS = 0.5
JOIN_SECONDS = 1.0
PRUNE_SECONDS = 60.0
AGAIN_SECONDS = 0.2
_log = logging.getLogger("fairlead.control")


def build(settings: Settings) -> Control:
    """Make what a process shares; nothing is connected yet. Raises `BadInputError`."""
    database = Database(settings.database_url)
    storage = open_storage(settings.bundles)
    return Control(
        settings=settings,
        database=database,
        storage=storage,
        publisher=Publisher(storage, settings.trust_pickle),
        feed=Feed(database),
        leadership=Leadership(database, settings.holder, settings.lease_seconds),
    )


def create_app(control: Control, *companions: Coroutine[Any, Any, None]) -> FastAPI:
    """Return the application. `companions` are further tasks that end with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.control = control
        # A request holds a thread while it waits for a connection: no more threads than connections.
        anyio.to_thread.current_default_thread_limiter().total_tokens = 20
        courier = Courier(control.database, control.settings.public_url)
        tasks = [asyncio.create_task(work) for work in (*loops(control, courier), *companions)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await courier.close()
            await asyncio.to_thread(control.leadership.resign)
            control.database.close()

    public = control.settings.public_url
    app = FastAPI(
        title="Fairlead control plane",
        root_path=urlsplit(public).path if public else "",
        root_path_in_servers=False,
        servers=[{"url": public}] if public else None,
        version="1",
        openapi_url="/api/openapi.json",
        docs_url="/api/docs",
        redoc_url=None,
        lifespan=lifespan,
    )
    failures.install(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    return app


async def prepare(control: Control) -> None:
    """Bring the database to the newest revision and read the newest snapshot. Raises `StoreError`."""
    await _migrate(control)
    await asyncio.to_thread(_republish, control)
    await control.feed.start()
    await control.leadership.attempt()


async def _migrate(control: Control) -> None:
    deadline, said = time.monotonic() + control.settings.start_seconds, False
    while True:
        try:
            return await asyncio.to_thread(control.database.migrate)
        except StoreError as error:
            if error.code is None or time.monotonic() > deadline:
                raise
            if not said:
                _log.warning("%s; waiting for it for %g s", error.message, control.settings.start_seconds)
            said = True
        await asyncio.sleep(AGAIN_SECONDS)


def loops(control: Control, courier: Courier) -> list[Coroutine[Any, Any, None]]:
    """Return what runs beside the routes: the feed and the lease in every process, the duties in the leader's."""
    led = control.leadership
    watch = StaleWatch(control.database, control.stale_us)
    found = [
        control.feed.watch(),
        led.campaign(),
        duty(led, DELIVERY_SECONDS, courier.deliver_due),
        duty(led, WATCH_SECONDS, watch.mark),
        duty(led, STEER_SECONDS, Pilot(control).steer),
        duty(led, JOIN_SECONDS, Joiner(control).join),
        duty(led, PRUNE_SECONDS, Pruner(control.database).prune),
    ]
    if control.settings.mlflow_uri is not None:
        from fairlead.control.mirror import Mirror

        mirror = Mirror(control, control.settings.mlflow_uri)
        found.append(duty(led, control.settings.mlflow_seconds, mirror.synchronise))
    return found


def _republish(control: Control) -> None:
    # Bundle storage may lie elsewhere than when the last snapshot was written.
    with control.database.change() as transaction:
        control.publisher.publish(transaction, "control")
