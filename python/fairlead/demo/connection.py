"""One HTTP/1.1 keep-alive connection: just enough to send a request and take its answer, at speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

Answered = Callable[["Connection", int, bytes, float], None]
"""(connection, status, body, moment of the last byte)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    host: str
    port: int
    path: str

    def request(self, body: bytes) -> bytes:
        """The bytes of a whole request."""
        head = f"POST {self.path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\ncontent-type: application/json\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class Connection(asyncio.Protocol):
    """Sends one request at a time. `answered` is called with each answer, `lost` once if the connection ends early."""

    def __init__(self, answered: Answered, lost: Callable[[str], None]) -> None:
        self.tag = -1
        """What is being asked; free for the owner."""
        self.due = 0.0
        """When the request should have been sent."""
        self._answered = answered
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, request: bytes, tag: int, due: float) -> None:
        """Send a request; the one before must have been answered."""
        assert self._transport is not None
        self.tag, self.due = tag, due
        self._transport.write(request)

    def close(self) -> None:
        """Close, without a call of `lost`."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Collect until the answer is whole."""
        self._buffer = self._buffer + data if self._buffer else data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        status, length = parse_head(self._buffer[:head_end])
        whole = head_end + 4 + length
        if len(self._buffer) < whole:
            return
        body, self._buffer = self._buffer[head_end + 4 : whole], self._buffer[whole:]
        self._answered(self, status, body, time.perf_counter())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, unless it closed the connection itself."""
        if not self._closing:
            self._lost(str(exc) if exc else "the server closed the connection")


def parse_head(head: bytes) -> tuple[int, int]:
    """Status and body length of an answer's head; raises `ValueError` where it has no length."""
    status = int(head[9:12])
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        raise ValueError("an answer without content-length")
    end = lower.find(b"\r\n", at + 2)
    return status, int(lower[at + 17 : end if end >= 0 else None])
