"""The client of the control plane's API: paths and JSON, errors as `ControlError`. Light: httpx only."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

import httpx

from fairlead.errors import BadInputError, ControlError

PREFIX = "/api/v1"
DEFAULT_TIMEOUT = 30.0
PUSH_TIMEOUT = 600.0
SPOOL_BYTES = 64 * 1024 * 1024
PIECE = 1024 * 1024
OUTCOMES_AT_A_TIME = 5_000


class ControlClient:
    """A connection to one control plane. Use it in a `with`, or `close` it.

    Every method raises `ControlError` where the control plane refuses, or does not answer.

        with ControlClient("http://127.0.0.1:8090") as control:
            control.get("/bundles", name="fraud")
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Take the address, the API key if one is needed, and for tests a transport."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        except httpx.InvalidURL as error:
            raise BadInputError(f"{url!r} is not an address: {error}") from error
        self._url = url

    def get(self, path: str, **parameters: Any) -> Any:
        """Return what is at `path`; parameters that are None are left out."""
        return self._call("GET", path, params={name: value for name, value in parameters.items() if value is not None})

    def put(self, path: str, body: Any) -> Any:
        """Put JSON there."""
        return self._call("PUT", path, json=body)

    def post(self, path: str, body: Any) -> Any:
        """Post JSON there."""
        return self._call("POST", path, json=body)

    def delete(self, path: str) -> Any:
        """Delete what is there."""
        return self._call("DELETE", path)

    def push(self, folder: str | Path) -> Any:
        """Send a bundle's folder to the registry and return its record."""
        source = Path(folder)
        if not (source / "manifest.json").is_file():
            raise BadInputError(f"{source} is not a bundle: it has no manifest.json", hint="`fairlead pack` makes one")
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
            with tarfile.open(fileobj=spool, mode="w") as archive:
                for path in sorted(source.rglob("*")):
                    archive.add(path, path.relative_to(source).as_posix(), recursive=False)
            spool.seek(0)
            headers = {"Content-Type": "application/x-tar"}
            return self._call("POST", "/bundles", content=_pieces(spool), headers=headers, timeout=PUSH_TIMEOUT)

    def add_outcomes(
        self, endpoint: str, outcomes: Iterable[Mapping[str, Any]], *, source: str | None = None
    ) -> dict[str, int]:
        """Tell what became of predictions, and return how many outcomes were `new`, `corrected` and `known`.

        Each has `prediction_id` and `label`, and perhaps `source` and `reported_at` (ISO 8601). They are sent in
        batches; each is kept whole or not at all, and sending all of them again is harmless.
        """
        path, rest = f"/endpoints/{quote(endpoint, safe='')}/outcomes", iter(outcomes)
        total = {"new": 0, "corrected": 0, "known": 0}
        while batch := [dict(one) for one in islice(rest, OUTCOMES_AT_A_TIME)]:
            body: dict[str, Any] = {"outcomes": batch} if source is None else {"outcomes": batch, "source": source}
            receipt = self.post(path, body)
            total = {name: count + receipt[name] for name, count in total.items()}
        return total

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(method, f"{PREFIX}{path}", **options)
        except httpx.HTTPError as error:
            raise ControlError(
                f"no control plane answers at {self._url}: {str(error) or type(error).__name__}",
                code="unreachable",
                hint="`fairlead up` starts one; --url or FAIRLEAD_URL says where it is",
            ) from error
        if answer.is_success:
            return answer.json() if answer.content else None
        raise _refused(answer)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _refused(answer: httpx.Response) -> ControlError:
    try:
        said = answer.json()
        message, code = str(said["error"]), str(said["code"])
    except (ValueError, KeyError, TypeError):
        return ControlError(f"{answer.url} answered {answer.status_code}", code="unreachable")
    after = answer.headers.get("retry-after", "")
    # A data plane says so of every path that begins as ours do.
    elsewhere = "that is a data plane; --url or FAIRLEAD_URL says where the control plane is"
    return ControlError(
        message,
        code=code,
        hint=elsewhere if code == "unknown_route" else said.get("hint"),
        details=said.get("details", ()),
        retry_after=float(after) if after.isdecimal() else None,
    )
