"""`open-inference-openapi`: the client that is generated from the protocol's own OpenAPI description."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import pytest

with warnings.catch_warnings():
    # It is written for pydantic 1, which pydantic 2 carries along; its types are beyond a checker with version 2.
    warnings.simplefilter("ignore")
    client_module: Any = import_module("open_inference.openapi.client")
    types: Any = import_module("open_inference.openapi.types")
    errors: Any = import_module("open_inference.openapi.errors")

from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint


@pytest.fixture(scope="module")
def server(serve_module: Serve, models: Workshop) -> Server:
    return serve_module(endpoint("simple", models.simple.bundle, version="3"), endpoint("types", models.types.bundle))


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with httpx.Client(timeout=10.0, trust_env=False) as connection:
        yield client_module.OpenInferenceClient(base_url=server.url, httpx_client=connection)


def given(name: str, datatype: str, shape: list[int], data: list[Any]) -> Any:
    return types.RequestInput(name=name, shape=shape, datatype=datatype, data=types.TensorData.parse_obj(data))


def simple(right: Any = None) -> Any:
    left = given("INPUT0", "INT32", [1, 16], list(range(16)))
    return types.InferenceRequest(id="a", inputs=[left, right or given("INPUT1", "INT32", [1, 16], [1] * 16)])


def test_health_and_metadata(client: Any) -> None:
    client.check_server_liveness()
    client.check_server_readiness()
    client.check_model_readiness("simple")
    client.check_model_version_readiness("simple", "3")
    server = client.read_server_metadata()
    assert (server.name, server.extensions) == ("fairlead", [])
    model = client.read_model_version_metadata("simple", "3")
    assert model == client.read_model_metadata("simple")
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in model.inputs] == [
        ("INPUT0", "INT32", [-1, 16]),
        ("INPUT1", "INT32", [-1, 16]),
    ]


def test_infer(client: Any) -> None:
    for answer in (
        client.model_infer("simple", request=simple()),
        client.model_version_infer("simple", "3", request=simple()),
    ):
        assert (answer.model_name, answer.model_version, answer.id) == ("simple", "3", "a")
        total, difference = answer.outputs
        assert (total.name, total.datatype, total.shape) == ("OUTPUT0", "INT32", [1, 16])
        assert total.data.__root__ == [float(value + 1) for value in range(16)]
        assert difference.data.__root__ == [float(value - 1) for value in range(16)]


def test_errors_are_the_protocols(client: Any) -> None:
    with pytest.raises(errors.BadRequestError) as wrong:
        client.model_infer("simple", request=simple(given("INPUT1", "INT32", [1, 15], [1] * 15)))
    assert "input `INPUT1`: expected shape [-1, 16], got [1, 15]" in wrong.value.body["error"]
    with pytest.raises(errors.NotFoundError) as absent:
        client.check_model_readiness("absent")
    assert "absent" in absent.value.body["error"]
