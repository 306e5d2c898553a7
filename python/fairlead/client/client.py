"""The client: one method for each thing that a caller asks of a server."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import numpy as np

from fairlead.client.answers import Inference, Predictions, read_inference, read_object, read_predictions
from fairlead.client.tensors import encode
from fairlead.errors import BadInputError, EndpointError

TIMEOUT_HEADER = "fairlead-timeout-ms"
UNIT_HEADER = "fairlead-unit"

DEFAULT_TIMEOUT = 10.0
"""Seconds."""


class Client:
    """A connection pool to one server; may be shared by threads. Use it in a `with`, or `close` it.

    Every method raises `EndpointError` where the server answers with an error, answers nonsense, or does not answer,
    and `BadInputError` where its arguments cannot be sent.

        with Client("http://127.0.0.1:8080") as client:
            answer = client.predict("fraud", [{"amount": 12.5, "country": "DE"}])
            answer.predictions[0].decision
    """

    def __init__(
        self, url: str, *, timeout: float = DEFAULT_TIMEOUT, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Take the server's address, the seconds any call may take, and for tests a transport."""
        try:
            self._http = httpx.Client(base_url=url, timeout=timeout, transport=transport)
        except httpx.InvalidURL as error:
            raise BadInputError(f"{url!r} is not an address: {error}") from error

    def predict(
        self,
        endpoint: str,
        records: Sequence[Mapping[str, Any]],
        *,
        unit: str | None = None,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Predictions:
        """Return one prediction for each record, a mapping from feature to value.

        None, NaN and an absent name all mean that the value is missing. `timeout`, in seconds, is also told to the
        server, which then does not work on an answer that nobody awaits.
        """
        body: dict[str, Any] = {"records": [_record(number, record) for number, record in enumerate(records)]}
        if request_id is not None:
            body["id"] = request_id
        path = f"/v1/endpoints/{quote(endpoint, safe='')}:predict"
        return read_predictions(self._post(path, body, unit, timeout))

    def infer(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        version: str | None = None,
        unit: str | None = None,
        timeout: float | None = None,
    ) -> Inference:
        """Return the model's outputs for `inputs`, arrays by name, over the Open Inference Protocol."""
        body = {"inputs": [encode(name, values) for name, values in inputs.items()]}
        return read_inference(self._post(f"{_model_path(model, version)}/infer", body, unit, timeout))

    def ready(self, model: str | None = None) -> bool:
        """Return True if the server (or one model of it) answers predictions now; False also if nothing listens."""
        path = "/v2/health/ready" if model is None else f"{_model_path(model, None)}/ready"
        try:
            read_object(self._send("GET", path))
        except EndpointError as error:
            if error.code in {"unreachable", "timeout"} or error.status == httpx.codes.SERVICE_UNAVAILABLE:
                return False
            raise
        return True

    def metadata(self, model: str | None = None, *, version: str | None = None) -> dict[str, Any]:
        """Return what the protocol tells of the server, or of one of its models."""
        return read_object(self._send("GET", "/v2" if model is None else _model_path(model, version)))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, path: str, body: Any, unit: str | None, timeout: float | None) -> httpx.Response:
        try:
            content = json.dumps(body, allow_nan=False, default=_scalar, separators=(",", ":")).encode()
        except (TypeError, ValueError) as error:
            raise BadInputError(f"the request cannot be written as JSON: {error}") from error
        headers = {"content-type": "application/json"}
        if unit is not None:
            headers[UNIT_HEADER] = unit
        if timeout is not None:
            headers[TIMEOUT_HEADER] = str(max(1, math.ceil(timeout * 1_000)))
        return self._send("POST", path, content=content, headers=headers, timeout=timeout)

    def _send(self, method: str, path: str, *, timeout: float | None = None, **request: Any) -> httpx.Response:
        if self._http.is_closed:
            raise BadInputError("the client is closed")
        if timeout is not None:
            request["timeout"] = timeout
        try:
            return self._http.request(method, path, **request)
        except httpx.TimeoutException as error:
            raise EndpointError(f"{method} {path}: no answer in time", code="timeout") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise EndpointError(f"{method} {path}: {str(error) or type(error).__name__}", code="unreachable") from error


def _model_path(model: str, version: str | None) -> str:
    path = f"/v2/models/{quote(model, safe='')}"
    return path if version is None else f"{path}/versions/{quote(version, safe='')}"


def _record(number: int, record: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in record.items():
        if isinstance(value, float | np.floating) and math.isinf(value):
            raise BadInputError(f"record {number}: {name!r} is {value}, which JSON does not have")
    return {name: None if _is_nan(value) else value for name, value in record.items()}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and math.isnan(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is neither a number nor text")
