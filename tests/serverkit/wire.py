"""HTTP/1.1 byte by byte over a socket: for what a well-behaved client library would not do."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

TIMEOUT = 20.0
PIECE = 65_536


@dataclass(frozen=True)
class Answer:
    """One response. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


def request(path: str, body: bytes = b"", *, method: str = "POST", headers: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a request whose length is announced."""
    return head(path, method=method, headers={"Content-Length": str(len(body)), **(headers or {})}) + body


def head(path: str, *, method: str = "POST", headers: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a request up to its body, with these headers and no others but Host."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: server",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class Wire:
    """A connection. A wait for bytes longer than `timeout` seconds raises `TimeoutError`."""

    def __init__(self, address: tuple[str, int], *, timeout: float = TIMEOUT) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(address)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self.socket.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection in the usual way."""
        self.socket.close()

    def reset(self) -> None:
        """Break the connection off: the server gets a reset, not an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.socket.sendall(data)

    def ask(self, data: bytes) -> Answer:
        """Send a request and read its answer."""
        self.send(data)
        return self.read()

    def read(self) -> Answer:
        """Read one response, interim ones included; raises `ConnectionError` where the connection ends first."""
        status_line, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = self._exactly(int(headers.get("content-length", "0")))
        return Answer(int(status_line.split()[1]), headers, body)

    def ended(self) -> bool:
        """Wait for the server to close the connection; false where it says something instead."""
        try:
            return self._buffer == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _more(self) -> None:
        piece = self.socket.recv(PIECE)
        if not piece:
            raise ConnectionError(f"the connection ended after {self._buffer!r}")
        self._buffer += piece
