"""Leading: duties go on whatever fails, and end with the lease."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest

from fairlead.control.leader import Leadership, duty
from fairlead.errors import StoreError
from fairlead.store.state import Database
from fairlead.store.state.leases import Lease

LEASE = Lease("leader", "me", 1)


class Away:
    """A database that does not answer."""

    def write(self) -> Any:
        raise StoreError("away", code="database_unavailable")


async def some_turns(leadership: Leadership, work: Any) -> None:
    task = asyncio.create_task(duty(leadership, 0.0, work))
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def leading() -> Leadership:
    leadership = Leadership(cast("Database", Away()), "me", 60.0)
    leadership._lease, leadership._until = LEASE, float("inf")
    return leadership


def test_a_duty_that_fails_is_done_again_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    done: list[Lease] = []

    async def fail(lease: Lease) -> None:
        done.append(lease)
        raise ConnectionError("nobody there")

    with caplog.at_level(logging.WARNING, "fairlead.control"):
        asyncio.run(some_turns(leading(), fail))
    assert len(done) > 3
    assert [record.message for record in caplog.records] == ["fail failed: ConnectionError: nobody there"]


def test_who_does_not_lead_has_no_duties() -> None:
    done: list[Lease] = []

    async def work(lease: Lease) -> None:
        done.append(lease)

    asyncio.run(some_turns(Leadership(cast("Database", Away()), "me", 60.0), work))
    assert done == []


def test_a_leader_whose_database_is_away_leads_until_its_time_is_up_and_no_longer() -> None:
    leadership = leading()
    asyncio.run(leadership.attempt())
    assert leadership.held == LEASE
    leadership._until = 0.0
    asyncio.run(leadership.attempt())
    assert leadership.held is None
