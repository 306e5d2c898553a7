"""NVIDIA's `tritonclient`, sync and asyncio: the client that most of the field has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.http import aio as triton_aio
from tritonclient.utils import InferenceServerException

from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint

SAMPLES: Mapping[str, Any] = {
    "BOOL": np.array([[True, False], [False, True]]),
    "UINT8": np.array([[0, 255], [1, 2]], dtype=np.uint8),
    "UINT16": np.array([[0, 65_535], [1, 2]], dtype=np.uint16),
    "UINT32": np.array([[0, 2**32 - 1], [1, 2]], dtype=np.uint32),
    "UINT64": np.array([[0, 2**64 - 1], [1, 2]], dtype=np.uint64),
    "INT8": np.array([[-128, 127], [1, 2]], dtype=np.int8),
    "INT16": np.array([[-(2**15), 2**15 - 1], [1, 2]], dtype=np.int16),
    "INT32": np.array([[-(2**31), 2**31 - 1], [1, 2]], dtype=np.int32),
    "INT64": np.array([[-(2**63), 2**63 - 1], [1, 2]], dtype=np.int64),
    "FP32": np.array([[np.finfo(np.float32).max, 1e-45], [0.1, -0.0]], dtype=np.float32),
    "FP64": np.array([[np.finfo(np.float64).max, 5e-324], [0.1, -0.0]], dtype=np.float64),
    "BYTES": np.array([[b"", "å∫😀".encode()], [b'"\\\n\t', b"a\x7fb"]], dtype=np.object_),
}
LEFT = np.arange(16, dtype=np.int32).reshape(1, 16)
RIGHT = np.full((1, 16), 5, dtype=np.int32)


class Client(Protocol):
    """What both clients have in common, as the tests use it: one call that gives the answer."""

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any: ...


@pytest.fixture(scope="module")
def server(serve_module: Serve, models: Workshop) -> Server:
    return serve_module(
        endpoint("simple", models.simple.bundle, version="3"),
        endpoint("types", models.types.bundle),
    )


def _sync(host: str) -> Iterator[Client]:
    with triton.InferenceServerClient(host) as client:
        yield lambda method, *arguments, **named: getattr(client, method)(*arguments, **named)


def _aio(host: str) -> Iterator[Client]:
    with asyncio.Runner() as runner:

        async def make() -> triton_aio.InferenceServerClient:
            return triton_aio.InferenceServerClient(host)

        client = runner.run(make())

        async def call(method: str, *arguments: Any, **named: Any) -> Any:
            answer: Awaitable[Any] = getattr(client, method)(*arguments, **named)
            return await answer

        yield lambda method, *arguments, **named: runner.run(call(method, *arguments, **named))
        runner.run(client.close())


@pytest.fixture(params=[_sync, _aio], ids=["sync", "aio"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    make: Callable[[str], Iterator[Client]] = request.param
    yield from make(urlsplit(server.url).netloc)


def tensor(name: str, values: Any, datatype: str, *, binary: bool = False) -> triton.InferInput:
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def both(left: Any = LEFT, right: Any = RIGHT, *, binary: bool = False) -> list[triton.InferInput]:
    return [tensor("INPUT0", left, "INT32", binary=binary), tensor("INPUT1", right, "INT32", binary=binary)]


def asked(*names: str) -> list[triton.InferRequestedOutput]:
    return [triton.InferRequestedOutput(name, binary_data=False) for name in names]


def failure(client: Client, inputs: Sequence[triton.InferInput], outputs: Sequence[Any], **named: Any) -> str:
    model = named.pop("model", "simple")
    with pytest.raises(InferenceServerException) as caught:
        client("infer", model, inputs, outputs=outputs, **named)
    return str(caught.value)


def test_health(client: Client) -> None:
    assert client("is_server_live") is True
    assert client("is_server_ready") is True
    assert client("is_model_ready", "simple") is True
    assert client("is_model_ready", "simple", "3") is True
    assert client("is_model_ready", "simple", "4") is False
    assert client("is_model_ready", "absent") is False


def test_metadata(client: Client, models: Workshop) -> None:
    assert client("get_server_metadata")["name"] == "fairlead"
    metadata = client("get_model_metadata", "simple")
    assert metadata == client("get_model_metadata", "simple", "3")
    assert metadata["name"] == "simple"
    assert metadata["versions"] == ["3"]
    assert metadata["inputs"] == [
        {"name": name, "datatype": "INT32", "shape": [-1, 16]} for name in ("INPUT0", "INPUT1")
    ]
    assert [output["name"] for output in metadata["outputs"]] == ["OUTPUT0", "OUTPUT1"]
    assert metadata["properties"]["bundle"] == models.simple.sha256


def test_infer(client: Client) -> None:
    result = client("infer", "simple", both(), outputs=asked("OUTPUT0", "OUTPUT1"))
    assert np.array_equal(result.as_numpy("OUTPUT0"), LEFT + RIGHT)
    assert np.array_equal(result.as_numpy("OUTPUT1"), LEFT - RIGHT)


@pytest.mark.parametrize("datatype", SAMPLES)
def test_every_datatype_comes_back_as_it_went(client: Client, datatype: str) -> None:
    inputs = [tensor(name.lower(), values, name) for name, values in SAMPLES.items()]
    output = f"{datatype.lower()}_out"
    given, got = SAMPLES[datatype], client("infer", "types", inputs, outputs=asked(output)).as_numpy(output)
    if datatype == "BYTES":
        assert [text.encode() if isinstance(text, str) else text for text in got.reshape(-1)] == list(given.reshape(-1))
        assert got.shape == given.shape
    else:
        assert got.dtype == given.dtype
        assert got.tobytes() == given.tobytes()


def test_a_version_is_chosen_by_its_path(client: Client) -> None:
    answer = client("infer", "simple", both(), model_version="3", outputs=asked("OUTPUT0")).get_response()
    assert answer["model_version"] == "3"
    assert "version" in failure(client, both(), asked("OUTPUT0"), model_version="9")


def test_the_request_id_comes_back(client: Client) -> None:
    result = client("infer", "simple", both(), request_id="order 66", outputs=asked("OUTPUT0"))
    assert result.get_response()["id"] == "order 66"


def test_only_what_is_asked_for_is_answered(client: Client) -> None:
    answer = client("infer", "simple", both(), outputs=asked("OUTPUT1")).get_response()
    assert [output["name"] for output in answer["outputs"]] == ["OUTPUT1"]


def test_parameters_of_others_are_taken(client: Client) -> None:
    result = client(
        "infer", "simple", both(), outputs=asked("OUTPUT0"), parameters={"colour": "red", "n": 3}, timeout=2_000_000
    )
    assert np.array_equal(result.as_numpy("OUTPUT0"), LEFT + RIGHT)


def test_errors_carry_our_words(client: Client) -> None:
    wanted = asked("OUTPUT0")
    short = LEFT[:, :15]
    cases = {
        "no endpoint named absent": failure(client, both(), wanted, model="absent"),
        "no input `INPUT9`; the model takes `INPUT0`, `INPUT1`": failure(
            client, [*both()[:1], tensor("INPUT9", RIGHT, "INT32")], wanted
        ),
        "input `INPUT1` is missing": failure(client, both()[:1], wanted),
        "input `INPUT1`: expected datatype INT32, got `FP32`": failure(
            client, [*both()[:1], tensor("INPUT1", RIGHT.astype(np.float32), "FP32")], wanted
        ),
        "input `INPUT0`: expected shape [-1, 16], got [1, 15]": failure(client, both(short, short), wanted),
        "OUTPUT7": failure(client, both(), asked("OUTPUT7")),
    }
    assert {expected: expected in got for expected, got in cases.items()} == dict.fromkeys(cases, True)


def test_an_answer_in_json_serves_a_client_that_would_take_binary(client: Client) -> None:
    # With no outputs named the client asks for all of them, in binary if the server can.
    result = client("infer", "simple", both())
    assert np.array_equal(result.as_numpy("OUTPUT0"), LEFT + RIGHT)
    assert np.array_equal(result.as_numpy("OUTPUT1"), LEFT - RIGHT)


def test_binary_tensors_are_refused_in_plain_words(client: Client) -> None:
    sent = failure(client, both(binary=True), asked("OUTPUT0"))
    wanted = failure(client, both(), [triton.InferRequestedOutput("OUTPUT0", binary_data=True)])
    for words in (sent, wanted):
        assert "[501]" in words
        assert "binary tensor data extension" in words
