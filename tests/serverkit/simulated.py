"""A data plane that only counts: it follows the snapshot, divides units as the real one does, and reports."""

from __future__ import annotations

import base64
import random
from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import httpx

from fairlead.rollout.assignment import is_challengers, is_controls
from fairlead.schema.snapshot import Endpoint, Role, Routing, Snapshot
from fairlead.schema.telemetry import (
    LATENCY_EDGES_US,
    SCORE_BINS,
    SKETCH_REGISTERS,
    ArmCounts,
    EndpointTelemetry,
    ShadowCounts,
    Telemetry,
)


@dataclass(frozen=True)
class Behaviour:
    """How a version answers."""

    errors: float = 0.02
    slow: float = 0.002
    """Share of answers in the bin of half a second instead of one of milliseconds."""
    shift: int = 0
    """Bins by which scores are higher."""


@dataclass
class Counts:
    """Of one version in one epoch."""

    units: set[str] = field(default_factory=set)
    requests: int = 0
    failed: set[str] = field(default_factory=set)
    decisions: list[int] = field(default_factory=lambda: [0, 0])
    scores: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    latencies: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_EDGES_US) + 1))
    registers: bytearray = field(default_factory=lambda: bytearray(SKETCH_REGISTERS))


class SimulatedPlane:
    """One replica. `behaviours` by version; a version without one behaves well."""

    def __init__(
        self, http: httpx.Client, endpoint: str, behaviours: dict[str, Behaviour] | None = None, **options: Any
    ) -> None:
        """Begin a life of a replica; `options`: `name`, `region`, `seed`, `broken_split`."""
        self._http, self._endpoint, self._behaviours = http, endpoint, behaviours or {}
        self.name: str = options.get("name", f"replica-of-{endpoint}")
        self.region: str | None = options.get("region")
        self._random = random.Random(options.get("seed", 1))
        self._broken_split: bool = options.get("broken_split", False)
        self._incarnation = options.get("incarnation", 1_700_000_000_000_000)
        self._counts: dict[tuple[str, int, bool], Counts] = defaultdict(Counts)
        self._shadows: dict[tuple[str, int], tuple[int, int]] = {}
        self._sequence = 0
        self._next_unit = 0
        self.snapshot = Snapshot(generation=0)

    @property
    def endpoint(self) -> Endpoint | None:
        """The endpoint as it was last told."""
        return next((one for one in self.snapshot.endpoints if one.name == self._endpoint), None)

    @property
    def routing(self) -> Routing | None:
        """What it was last told of the rollout."""
        return None if self.endpoint is None else self.endpoint.routing

    def told(self, *fields: str) -> tuple[Any, ...] | None:
        """Return these fields of the routing; None where there is none."""
        return None if self.routing is None else tuple(getattr(self.routing, field) for field in fields)

    def follow(self) -> None:
        """Fetch the newest snapshot."""
        answer = self._http.get("/snapshot", params={"after": self.snapshot.generation})
        answer.raise_for_status()
        if answer.status_code == 200:
            self.snapshot = Snapshot.model_validate_json(answer.content)

    def serve(self, units: int) -> None:
        """Answer this many new units, once each."""
        endpoint = self.endpoint
        assert endpoint is not None
        champion = next(one.version for one in endpoint.variants if one.role is Role.CHAMPION)
        routing = endpoint.routing or Routing(salt="none", epoch=0)
        for _ in range(units):
            unit = f"{self.name}-{self._next_unit}"
            self._next_unit += 1
            mine = routing.challenger is not None and self._mine(unit, routing)
            version = routing.challenger if mine and routing.challenger else champion
            matched = routing.matched and not mine and is_controls(unit, routing.salt, routing.share)
            self._answer(unit, version, self._counts[version, routing.epoch, matched])
            if routing.shadow is not None:
                pairs, flips = self._shadows.get((routing.shadow, routing.epoch), (0, 0))
                self._shadows[routing.shadow, routing.epoch] = (pairs + 1, flips)

    def _mine(self, unit: str, routing: Routing) -> bool:
        if routing.regions is not None and self.region not in routing.regions:
            return False
        share = routing.share * 0.7 if self._broken_split else routing.share
        return is_challengers(unit, routing.salt, share)

    def _answer(self, unit: str, version: str, counts: Counts) -> None:
        behaviour = self._behaviours.get(version, Behaviour())
        counts.units.add(unit)
        counts.requests += 1
        if self._random.random() < behaviour.errors:
            counts.failed.add(unit)
        score = min(SCORE_BINS - 1, int(self._random.betavariate(2, 5) * SCORE_BINS) + behaviour.shift)
        counts.scores[score] += 1
        counts.decisions[int(score >= SCORE_BINS // 2)] += 1
        counts.latencies[53 if self._random.random() < behaviour.slow else self._random.randrange(15, 25)] += 1
        value = int.from_bytes(blake2b(unit.encode(), digest_size=8).digest(), "little")
        place, rest = value % SKETCH_REGISTERS, value // SKETCH_REGISTERS
        counts.registers[place] = max(counts.registers[place], 53 - rest.bit_length())

    def report(self, **changes: Any) -> dict[str, Any]:
        """Return the next report, as JSON."""
        self._sequence += 1
        endpoint = self.endpoint
        champion = None
        if endpoint is not None:
            champion = next(one.version for one in endpoint.variants if one.role is Role.CHAMPION)
        arms = [
            ArmCounts(
                version=version,
                role=Role.CHAMPION if version == champion else Role.CHALLENGER,
                epoch=epoch,
                matched=matched,
                requests=counts.requests,
                errors=len(counts.failed),
                units=len(counts.units),
                unit_errors=len(counts.failed),
                unit_decisions=counts.decisions,
                score_counts=counts.scores,
                latency_counts=counts.latencies,
                units_sketch=base64.b64encode(counts.registers).decode(),
            )
            for (version, epoch, matched), counts in self._counts.items()
        ]
        shadows = [
            ShadowCounts(version=version, epoch=epoch, pairs=pairs)
            for (version, epoch), (pairs, _) in self._shadows.items()
        ]
        document = Telemetry(
            replica=self.name,
            incarnation=self._incarnation,
            sequence=self._sequence,
            generation=self.snapshot.generation,
            region=self.region,
            time_us=1,
            endpoints=[EndpointTelemetry(name=self._endpoint, arms=arms, shadows=shadows)],
        )
        return document.model_dump(mode="json") | changes

    def send(self, report: dict[str, Any] | None = None) -> bool:
        """Send a report, or the next one; whether it was taken as news."""
        answer = self._http.post("/telemetry", json=report or self.report())
        answer.raise_for_status()
        return bool(answer.json()["accepted"])

    def live(self, units: int) -> bool:
        """Follow, serve, report: one breath; whether the report was news."""
        self.follow()
        if self.endpoint is not None:
            self.serve(units)
        return self.send()
