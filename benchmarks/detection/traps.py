"""What makes detectors alarm by themselves, with and without what is done about it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection import worlds
from benchmarks.detection.runs import Calm, Draw, calm, even
from fairlead.monitor.sequential.detector import Detector, Promise
from fairlead.monitor.sequential.streams import Stream

REQUESTS = 10_000.0
BURST = 5
HOURS = 24
SWING = 0.4
"""Of the daily cycle, in standard deviations either way."""


def finite_reference(rng: np.random.Generator, rows: int, references: int, endpoints: int) -> tuple[Calm, Calm]:
    """With a reference of `rows` rows, no tolerance: as it is, and taken for the truth."""
    draw = even([worlds.usual("number")], 50)
    honest = taken = Calm(0, 0)
    for _ in range(references):
        (own,) = worlds.sampled(rng, "number", rows)
        truth = worlds.watched(own.name, "number", own.reference[0] * (10**12 // rows))
        promise = Promise(REQUESTS, tolerance=0.0)
        honest += calm(rng, Detector([own], promise), draw, endpoints, int(4 * REQUESTS))
        taken += calm(rng, Detector([truth], promise), draw, endpoints, int(4 * REQUESTS))
    return honest, taken


def bursts(rng: np.random.Generator, endpoints: int) -> Iterator[tuple[str, Calm]]:
    """Every row comes five times in the same tick: a customer who tries again."""

    def draw(rng: np.random.Generator, many: int, _: int) -> tuple[int, NDArray[np.int64], int]:
        return 10 * BURST, rng.multinomial(10, worlds.usual("number"), many) * BURST, 0

    for cluster in (1, BURST):
        detector = Detector(worlds.known("number"), Promise(REQUESTS, 0.0, cluster=cluster))
        yield f"cluster {cluster}", calm(rng, detector, draw, endpoints, int(3 * REQUESTS))


def daily_cycle(rng: np.random.Generator, endpoints: int) -> Iterator[tuple[str, Calm]]:
    """Numbers move up and down with the hour; two days of 24,000 rows."""
    by_hour = [worlds.number_shares(SWING * np.sin(2 * np.pi * hour / HOURS)) for hour in range(HOURS)]
    reference = np.stack([rng.multinomial(20_000, shares) for shares in by_hour])

    def draw(rng: np.random.Generator, many: int, tick: int) -> tuple[int, NDArray[np.int64], int]:
        hour = tick // 10 % HOURS
        return 100, rng.multinomial(100, by_hour[hour], many), hour

    def judged(stream: Stream, *, seasonal: bool, tolerance: float = 0.1) -> Calm:
        detector = Detector([stream], Promise(REQUESTS, tolerance))

        def seen(rng: np.random.Generator, many: int, tick: int) -> tuple[int, NDArray[np.int64], int]:
            rows, counts, hour = draw(rng, many, tick)
            return rows, counts, hour if seasonal else 0

        return calm(rng, detector, seen, endpoints, 2 * HOURS * 1_000)

    pooled = worlds.watched("number", "number", reference.sum(axis=0))
    yield "one reference", judged(pooled, seasonal=False)
    yield "one reference, tolerance 1", judged(pooled, seasonal=False, tolerance=1.0)
    yield "a reference for each hour", judged(worlds.watched("number", "number", reference), seasonal=True)


def uneven_ticks() -> Draw:
    """Ticks of no rows at all and of thousands, alike for all endpoints."""
    sizes = np.random.default_rng(5).choice([0, 1, 3, 30, 300, 3_000], size=512)

    def draw(rng: np.random.Generator, many: int, tick: int) -> tuple[int, NDArray[np.int64], int]:
        size = int(sizes[tick % len(sizes)])
        return size, rng.multinomial(size, worlds.usual("number"), many), 0

    return draw


def tolerable(tolerance: float) -> list[worlds.Floats]:
    """Traffic at the edge of what is tolerated: the first cells up, the last ones down, by as much as may be."""
    shares = worlds.usual("number")
    least, most = shares / (1 + tolerance), shares * (1 + tolerance)
    before = np.concatenate([[0.0], np.cumsum(most - least)[:-1]])
    return [np.clip(1 - least.sum() - before, 0.0, most - least) + least]
