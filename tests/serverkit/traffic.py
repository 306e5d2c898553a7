"""Constant load from several connections, of which every answer is kept."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from math import inf
from typing import Self

from tests.serverkit.waiting import until
from tests.serverkit.wire import Answer, Wire


@dataclass(frozen=True)
class Exchange:
    """One request (by its place among those given) and what came back; `answer` is None where the connection broke."""

    request: int
    answer: Answer | None
    seconds: float
    started: float
    """By `time.monotonic`."""


@dataclass
class Traffic:
    """Sends `requests` in turn over `connections` connections, each waiting for its answer before the next.

    A connection that the server closes is opened again; one that breaks within a request counts as an exchange
    without an answer. Where no connection can be had any more, the worker ends.
    """

    address: tuple[str, int]
    requests: Sequence[bytes]
    connections: int = 4
    exchanges: list[Exchange] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _workers: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._workers = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(self.connections)]
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> list[Exchange]:
        """Stop, wait for the answers on their way, and return everything."""
        self._stop.set()
        for worker in self._workers:
            worker.join()
        return self.exchanges

    def wait_for(self, count: int, seconds: float = 20.0) -> None:
        """Return once `count` exchanges more than now are done."""
        wanted = len(self.exchanges) + count
        until(lambda: len(self.exchanges) >= wanted, f"{count} more exchanges", seconds=seconds)

    def between(self, first: float, last: float = inf) -> list[Exchange]:
        """Return what was asked after `first` and answered before `last`."""
        return [one for one in self.exchanges if one.started > first and one.started + one.seconds < last]

    def statuses(self) -> Counter[int | None]:
        """Return how often each status came; None for no answer."""
        return Counter(None if e.answer is None else e.answer.status for e in self.exchanges)

    def _work(self, number: int) -> None:
        turns = islice(cycle(range(len(self.requests))), number, None)
        while not self._stop.is_set():
            try:
                wire = Wire(self.address)
            except OSError:
                return
            with wire:
                self._converse(wire, turns)

    def _converse(self, wire: Wire, turns: Iterator[int]) -> None:
        while not self._stop.is_set():
            turn = next(turns)
            started = time.monotonic()
            try:
                answer = wire.ask(self.requests[turn])
            except OSError:
                self.exchanges.append(Exchange(turn, None, time.monotonic() - started, started))
                return
            self.exchanges.append(Exchange(turn, answer, time.monotonic() - started, started))
            if answer.headers.get("connection") == "close":
                return


def percentile(exchanges: Sequence[Exchange], share: float) -> float:
    """Return the latency in seconds that `share` of the exchanges stayed within."""
    ordered = sorted(exchange.seconds for exchange in exchanges)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
