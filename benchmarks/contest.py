"""Who is compared, and the closed loops that compare them: every round starts every server once, in turn."""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import load
from benchmarks.harness.answers import WrongAnswersError, largest_difference
from benchmarks.harness.layout import CACHE
from benchmarks.harness.processes import Command, Server, ServerError, free_port
from benchmarks.model import Requests, Workload
from benchmarks.peers.peer import OIP_PATH, OIP_READY, InstallError, Peer, oip_scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CONCURRENCY = (8, 64, 256)
MAIN_CONCURRENCY = 64
OURS = "fairlead"
OURS_ONNX = "fairlead-onnxruntime"
"""Ours with ONNX Runtime running the model, as it does for models that are no lone tree ensemble."""
CEILING = "ceiling"
ECHO = "echo"
LOGS = CACHE / "prediction-log"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server under test."""

    name: str
    title: str
    command: Callable[[int], Command]
    """For a port."""
    single: Requests
    heavy: Requests | None = None
    path: str = OIP_PATH
    scores: Callable[[Any], list[float]] | None = oip_scores
    """None: its answers are constants."""
    ratio: float | None = None
    """How many times its throughput ours should be."""

    def aim(self, port: int, requests: Requests) -> load.Aim:
        """Where load on it goes."""
        return load.Aim(port, self.path, requests.bodies)

    def serve(self) -> Server:
        """Start it on a free port; raises `ServerError`."""
        port = free_port()
        return Server(self.command(port), CACHE / "output" / f"{self.name}.log")

    def check(self, server: Server) -> float:
        """Compare its answers with onnxruntime's: the largest difference, or `WrongAnswersError`."""
        if self.scores is None:
            return 0.0
        port = server.command.port
        kinds = [self.single] if self.heavy is None else [self.single, self.heavy]
        return max(largest_difference(self.aim(port, kind), kind.expected, self.scores) for kind in kinds)


def ours(workload: Workload, durability: str = "buffered", *flags: str) -> Contestant:
    """Fairlead as a user starts it, with validation, metrics and the prediction log on."""
    name = OURS if durability == "buffered" else f"{OURS}-{durability}"
    log = LOGS / name

    def command(port: int) -> Command:
        shutil.rmtree(log, ignore_errors=True)
        argv = [sys.executable, "-m", "fairlead", "serve", "--bundle", str(workload.bundle), "--name", workload.name]
        argv += ["--port", str(port), "--admin-port", str(free_port()), "--log", str(log), "--durability", durability]
        return Command([*argv, *flags], port, OIP_READY)

    title = "Fairlead, all on" if durability == "buffered" else f"Fairlead, {durability} log"
    return Contestant(name, title, command, workload.single, workload.heavy)


def ours_onnx(workload: Workload) -> Contestant:
    """Fairlead with ONNX Runtime running the model."""
    return replace(
        ours(workload, "buffered", "--no-native-trees"), name=OURS_ONNX, title="Fairlead, model run by ONNX Runtime"
    )


def ceiling(workload: Workload) -> Contestant:
    """The bare reference server."""

    def command(port: int) -> Command:
        argv = [str(load.binary("ceiling")), "--port", str(port), "--model", str(workload.onnx)]
        return Command([*argv, "--library", str(onnxruntime_library())], port, OIP_READY)

    return Contestant(CEILING, "bare reference server", command, workload.single, workload.heavy)


def echo(workload: Workload) -> Contestant:
    """The reference server's loop without parsing and inference: what the load generator can see at all."""

    def command(port: int) -> Command:
        return Command([str(load.binary("ceiling")), "--port", str(port), "--echo"], port, OIP_READY)

    return Contestant(ECHO, "echo of 200 bytes (the generator's limit)", command, workload.single, scores=None)


def from_peer(peer: Peer, workload: Workload) -> Contestant:
    """An installed peer; its requests are written in its own JSON. Raises `InstallError`."""
    peer.ensure_installed()
    bodies = CACHE / "requests" / f"{peer.name}.jsonl"
    bodies.parent.mkdir(parents=True, exist_ok=True)
    bodies.write_text("".join(peer.request(row) + "\n" for row in workload.rows))
    requests = Requests(bodies, workload.single.expected)
    return Contestant(
        peer.name,
        peer.title,
        lambda port: peer.start(workload.onnx, port),
        requests,
        path=peer.path,
        scores=peer.scores,
        ratio=peer.ratio,
    )


def onnxruntime_library() -> Path:
    """The wheel's libonnxruntime: the one that Fairlead itself loads."""
    from importlib.metadata import files

    for file in files("onnxruntime") or []:
        if file.name.startswith("libonnxruntime.so."):
            return Path(str(file.locate())).resolve()
    raise FileNotFoundError("the onnxruntime wheel has no libonnxruntime.so")


@dataclass(slots=True)
class Measured:
    """What the rounds found of one contestant; one entry a round."""

    closed: dict[int, list[load.Closed]] = field(default_factory=lambda: {c: [] for c in CONCURRENCY})
    """By concurrency, with wrk (loadgen where there is none)."""
    loadgen: list[load.Closed] = field(default_factory=list)
    """At the main concurrency, with loadgen."""
    cpu_us: list[float] = field(default_factory=list)
    """CPU of the server a request at the main concurrency."""
    cores: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    difference: float | None = None
    failure: str | None = None
    """Why it was not measured (further)."""
    wrong: bool = False
    """It gave wrong answers."""

    def rate(self, concurrency: int = MAIN_CONCURRENCY) -> list[float]:
        """Requests a second by round."""
        return [closed.per_second for closed in self.closed[concurrency]]

    def failures(self) -> int:
        """Requests that failed under load, in all rounds."""
        return sum(closed.failures for runs in (*self.closed.values(), self.loadgen) for closed in runs)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things are measured."""

    rounds: int
    seconds: float
    """Of one closed-loop measurement."""
    warmup_s: float
    open_seconds: float
    """Of the open loop at the promised rate."""


def compete(contestants: Sequence[Contestant], pace: Pace, say: Say) -> dict[str, Measured]:
    """All rounds; a contestant that fails is left out of the further ones and says why."""
    results = {contestant.name: Measured() for contestant in contestants}
    for turn in range(pace.rounds):
        for contestant in contestants:
            measured = results[contestant.name]
            if measured.failure is not None:
                continue
            try:
                _measure(contestant, measured, pace)
            except WrongAnswersError as error:
                measured.failure, measured.wrong = str(error), True
            except (ServerError, ValueError, OSError, load.LoadError) as error:
                measured.failure = f"{type(error).__name__}: {error}"
            rates = measured.rate()
            tail = measured.failure or f"{rates[-1]:,.0f} requests/s at c={MAIN_CONCURRENCY}"
            say(f"round {turn + 1}/{pace.rounds}  {contestant.title}: {tail}")
    return results


def _measure(contestant: Contestant, measured: Measured, pace: Pace) -> None:
    with contestant.serve() as server:
        measured.ready_s.append(server.ready_s)
        difference = contestant.check(server)
        measured.difference = max(difference, measured.difference or 0.0)
        aim = contestant.aim(server.command.port, contestant.single)
        load.closed(aim, MAIN_CONCURRENCY, pace.warmup_s)
        for concurrency in CONCURRENCY:
            before = server.usage()
            closed = load.closed(aim, concurrency, pace.seconds)
            spent = server.usage().cpu_s - before.cpu_s
            measured.closed[concurrency].append(closed)
            if concurrency == MAIN_CONCURRENCY:
                measured.cpu_us.append(1e6 * spent / max(closed.answered, 1))
                measured.cores.append(spent * closed.per_second / max(closed.answered, 1))
        if contestant.name in {OURS, OURS_ONNX, CEILING, ECHO}:
            measured.loadgen.append(load.loadgen_closed(aim, MAIN_CONCURRENCY, pace.seconds))
        measured.peak_mb.append(server.usage().peak_rss_mb)


def enlist(peers: Iterable[Peer], workload: Workload, say: Say) -> tuple[list[Contestant], dict[str, str]]:
    """Install the peers: those that can be measured, and by title why the others cannot."""
    contestants, absent = [], {}
    for peer in peers:
        say(f"installing {peer.title} (where it is not yet)")
        try:
            contestants.append(from_peer(peer, workload))
        except InstallError as error:
            absent[peer.title] = f"does not install: {error}"
            say(f"{peer.title}: {absent[peer.title]}")
    return contestants, absent


def median(values: Sequence[float]) -> float | None:
    """The median, or None of nothing."""
    return statistics.median(values) if values else None
