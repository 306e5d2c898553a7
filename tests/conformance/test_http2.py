"""HTTP/2 without TLS, as httpx and the `h2` library speak it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.serverkit import oip
from tests.serverkit.fixtures import Serve
from tests.serverkit.gates import Gates
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint
from tests.serverkit.waiting import until

PATH = "/v2/models/doubling/infer"


@pytest.fixture(scope="module")
def server(serve_module: Serve, models: Workshop) -> Server:
    return serve_module(endpoint("doubling", models.doubling.bundle))


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, http1=False, http2=True, timeout=20.0, trust_env=False) as client:
        yield client


def body(value: float) -> bytes:
    return oip.body(oip.tensor("x", "FP32", [value]))


def test_answers_are_those_of_http_1(server: Server, client: httpx.Client) -> None:
    for method, path in (("GET", "/v2"), ("GET", "/openapi.json"), ("HEAD", "/v2"), ("GET", "/no"), ("PUT", "/v2")):
        first, second = server.http.request(method, path), client.request(method, path)
        assert (first.http_version, second.http_version) == ("HTTP/1.1", "HTTP/2")
        assert (first.status_code, first.content) == (second.status_code, second.content)
        assert first.headers.get("allow") == second.headers.get("allow")
    answer = client.post(PATH, content=body(1.5))
    assert answer.json()["outputs"] == server.http.post(PATH, content=body(1.5)).json()["outputs"]


def test_errors_are_those_of_http_1(server: Server, client: httpx.Client) -> None:
    for content in (b"", b"{", b'{"inputs": []}', body(1)[:-1]):
        first, second = server.http.post(PATH, content=content), client.post(PATH, content=content)
        assert first.status_code == 400
        assert (first.status_code, first.json()) == (second.status_code, second.json())


def test_many_streams_share_a_connection(server: Server) -> None:
    async def all_at_once() -> list[list[float]]:
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(
            base_url=server.url, http1=False, http2=True, timeout=20.0, limits=limits, trust_env=False
        ) as client:
            answers = await asyncio.gather(*(client.post(PATH, content=body(value)) for value in range(100)))
        return [answer.json()["outputs"][0]["data"] for answer in answers]

    assert asyncio.run(all_at_once()) == [[value * 2.0] for value in range(100)]


def test_a_stream_that_waits_does_not_hold_up_the_others(serve: Serve, models: Workshop, gates: Gates) -> None:
    server = serve(endpoint("gated", models.gated.bundle, deadline_ms=30_000), environment=gates.environment)
    gate = gates.new()

    async def overtake() -> tuple[int, int]:
        async with httpx.AsyncClient(
            base_url=server.url, http1=False, http2=True, timeout=20.0, trust_env=False
        ) as client:
            record = {"amount": 1.0, "wish": 0.0, "gate": gate}
            slow = asyncio.create_task(client.post("/v1/endpoints/gated:predict", json={"records": [record]}))
            await asyncio.to_thread(gates.wait_until_held, gate)
            quick = await client.get("/v2/health/ready")
            gates.open(gate)
            return quick.status_code, (await slow).status_code

    assert asyncio.run(overtake()) == (200, 200)
    until(lambda: server.state()["requests_in_flight"] == 0, "nothing in flight")
