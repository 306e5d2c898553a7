"""Every error in the house shape: `{"error": message, "code": code}`, with `hint` and `details` where there are any."""

from __future__ import annotations

import logging
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from fairlead.errors import ControlError, FairleadError, StoreError
from fairlead.schema.control_catalogue import CONTROL_ERRORS

RETRY_SECONDS = 2
MOST_DETAILS = 100
"""A batch may have a thousand times the same fault."""
_SPECS = {spec.code: spec for spec in CONTROL_ERRORS}
_BY_STATUS = {404: "unknown_path", 405: "wrong_method"}
_log = logging.getLogger("fairlead.control")


def install(app: FastAPI) -> None:
    """Let the application answer every exception this way."""
    app.add_exception_handler(ControlError, _control)
    app.add_exception_handler(StoreError, _store)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)


def refusal(
    code: str, message: str, *, details: Sequence[Mapping[str, Any]] = (), hint: str | None = None
) -> JSONResponse:
    """Return the answer for a code of the catalogue."""
    spec = _SPECS[code]
    body: dict[str, Any] = {"error": message, "code": code, "hint": hint or spec.hint}
    if details:
        body["details"] = list(details)
    headers: dict[str, str] = {}
    if spec.http == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if spec.http == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, status_code=spec.http, headers=headers)


async def _control(_: Request, error: Exception) -> Response:
    assert isinstance(error, ControlError)
    return refusal(error.code, error.message, details=error.details, hint=error.hint)


async def _store(_: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)
    if error.code is None:
        _log.error("%s", error.message)
    return refusal(error.code or "control_fault", error.message, hint=error.hint)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = [_complaint(one) for one in error.errors()[:MOST_DETAILS]]
    first = details[0] if details else {"field": "request", "expected": "valid"}
    got = f", got {first['got']}" if "got" in first else ""
    return refusal("invalid_request", f"{first['field']}: {first['expected']}{got}", details=details)


def _complaint(error: Mapping[str, Any]) -> dict[str, str]:
    found = {"field": ".".join(str(part) for part in error["loc"]), "expected": str(error["msg"])}
    if isinstance(error.get("input"), str | int | float | None) and error["type"] != "missing":
        found["got"] = reprlib.repr(error["input"])
    return found


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _BY_STATUS.get(error.status_code)
    if code is None:
        return refusal("invalid_request", str(error.detail))
    answer = refusal(code, f"no route {request.method} {request.url.path}")
    if error.headers:
        answer.headers.update(error.headers)
    return answer


async def _fault(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    words = error.message if isinstance(error, FairleadError) else type(error).__name__
    return refusal("control_fault", f"a fault of the control plane: {words}")
