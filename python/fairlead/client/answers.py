"""What an endpoint answers, as values; and its errors, as exceptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

import httpx
import numpy as np

from fairlead.client.tensors import decode
from fairlead.errors import EndpointError


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one record.

    `decision` is one of the model's labels, None for a regression; `score` is the model's score, None where it is not
    finite. Models that decide nothing give `outputs` by name instead. `violations` names the fields that broke the
    signature where the endpoint answers all the same.
    """

    prediction_id: str
    decision: bool | int | float | str | None = None
    score: float | None = None
    outputs: Mapping[str, Any] | None = None
    violations: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Predictions:
    """The answer to `Client.predict`: one prediction for each record, in the order of the records."""

    endpoint: str
    version: str
    variant: str
    bundle: str
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class Inference:
    """The answer to `Client.infer`: the model's outputs by name, batch first; text is an array of `str`."""

    model_name: str
    model_version: str | None
    outputs: Mapping[str, np.ndarray[Any, Any]]
    parameters: Mapping[str, Any]


def read_predictions(answer: httpx.Response) -> Predictions:
    """Read the answer of the predict route; raises `EndpointError` with code `bad_answer` where it is none."""
    body = read_object(answer)
    try:
        rows = tuple(_prediction(row) for row in body["predictions"])
        return Predictions(body["endpoint"], body["version"], body["variant"], body["bundle"], rows)
    except (AttributeError, KeyError, TypeError) as error:
        raise _bad_answer(answer, error) from error


def _prediction(row: Mapping[str, Any]) -> Prediction:
    # A newer server may say more than this client knows.
    return Prediction(**{name: value for name, value in row.items() if name in _PREDICTION_FIELDS})


_PREDICTION_FIELDS = {field.name for field in fields(Prediction)}


def read_inference(answer: httpx.Response) -> Inference:
    """Read the answer of the infer route; raises `EndpointError` with code `bad_answer` where it is none."""
    body = read_object(answer)
    try:
        outputs = {output["name"]: decode(output) for output in body["outputs"]}
        return Inference(body["model_name"], body.get("model_version"), outputs, body.get("parameters", {}))
    except (KeyError, TypeError, ValueError) as error:
        raise _bad_answer(answer, error) from error


def read_object(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object that `answer` holds; raises `EndpointError` for an error status, or for anything else."""
    if not answer.is_success:
        raise read_error(answer)
    try:
        body = answer.json()
    except ValueError as error:
        raise _bad_answer(answer, error) from error
    if not isinstance(body, dict):
        raise _bad_answer(answer, TypeError(f"a JSON object was expected, not {type(body).__name__}"))
    return body


def read_error(answer: httpx.Response) -> EndpointError:
    """Return the error that `answer` carries; a body that is not ours (a proxy's, say) is quoted."""
    body: Any = None
    with suppress(ValueError):
        body = answer.json()
    if not isinstance(body, dict):
        body = {}
    message = body.get("error") or f"{answer.reason_phrase}: {answer.text[:200]}"
    details = body.get("details")
    return EndpointError(
        f"{answer.request.method} {answer.request.url.path}: {message}",
        code=str(body.get("code") or "unknown"),
        status=answer.status_code,
        details=details if isinstance(details, list) else (),
        retry_after=_seconds(answer.headers.get("retry-after")),
    )


def _seconds(header: str | None) -> float | None:
    try:
        return None if header is None else float(header)
    except ValueError:  # a proxy may send a date, which is of no use without its clock
        return None


def _bad_answer(answer: httpx.Response, error: Exception) -> EndpointError:
    return EndpointError(
        f"{answer.request.method} {answer.request.url.path}: the answer is not what this route gives: {error!r}",
        code="bad_answer",
        status=answer.status_code,
    )
