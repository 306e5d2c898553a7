"""Load from the two generators: wrk (closed loop) and our loadgen (closed and open loop). To 127.0.0.1 only."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.harness.layout import CACHE, NATIVE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_WRK_SCRIPT = """\
local requests, count, turn = {}, 0, 0
function init(args)
  local headers = { ["Content-Type"] = "application/json" }
  for line in io.lines(args[1]) do
    count = count + 1
    requests[count] = wrk.format("POST", wrk.path, headers, line)
  end
end
function request()
  turn = turn % count + 1
  return requests[turn]
end
"""


@dataclass(frozen=True, slots=True)
class Aim:
    """What is asked of whom."""

    port: int
    path: str
    bodies: Path
    """One request body a line."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed-loop measurement."""

    answered: int
    """With 200; the others are failures."""
    per_second: float
    """Of those."""
    p50_ms: float
    p99_ms: float
    failures: int
    """Answers other than 200, broken connections, time-outs."""


class LoadError(Exception):
    """A load generator failed; the message has its last words."""


def ensure_wrk() -> bool:
    """Whether there is a wrk; it is installed from Debian where it is missing and we may."""
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "wrk"]):
            subprocess.run(["apt-get", *arguments], check=False, capture_output=True, timeout=300)
    return shutil.which("wrk") is not None


def wrk_version() -> str:
    """The version as wrk tells it, or what is used instead."""
    if shutil.which("wrk") is None:
        return "missing: closed loops by loadgen"
    return (
        subprocess.run(["wrk", "--version"], check=False, capture_output=True, text=True).stdout.split("[")[0].strip()
    )


def closed(aim: Aim, connections: int, seconds: float) -> Closed:
    """A closed loop by wrk, or by loadgen where there is no wrk."""
    if shutil.which("wrk") is None:
        return loadgen_closed(aim, connections, seconds)
    return wrk(aim, connections, seconds)


def wrk(aim: Aim, connections: int, seconds: float) -> Closed:
    """One thread of wrk over `connections` keep-alive connections; whole seconds."""
    script = CACHE / "rotate.lua"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(_WRK_SCRIPT)
    whole = max(1, round(seconds))
    url = f"http://127.0.0.1:{aim.port}{aim.path}"
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{whole}s", "--latency", "-s", str(script), url, "--", str(aim.bodies)]
    return parse_wrk(_run(argv, whole + 60))


def parse_wrk(text: str) -> Closed:
    """Read wrk's report; `ValueError` where it is not one."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    answered = re.search(r"(\d+) requests in ", text)
    quantiles = {name: _milliseconds(value, unit) for name, value, unit in _QUANTILE.findall(text)}
    if rate is None or answered is None or not {"50%", "99%"} <= quantiles.keys():
        raise ValueError(f"not a report of wrk: {text!r}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    refused = int(bad[1]) if bad else 0
    failures = refused + (sum(map(int, sockets.groups())) if sockets else 0)
    good = int(answered[1]) - refused
    per_second = float(rate[1]) * good / max(int(answered[1]), 1)
    return Closed(good, per_second, quantiles["50%"], quantiles["99%"], failures)


_QUANTILE = re.compile(r"^\s+(50%|99%)\s+([\d.]+)(us|ms|s|m)\s*$", re.MULTILINE)


def _milliseconds(value: str, unit: str) -> float:
    return float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[unit]


def loadgen_closed(aim: Aim, connections: int, seconds: float, warmup: float = 0.0, cpus: Sequence[int] = ()) -> Closed:
    """Closed loop by loadgen, some four times cheaper a request than wrk."""
    report = loadgen(aim, seconds, ["--closed", str(connections), "--warmup", str(warmup)], cpus)
    latency = report["latency_ms"]
    return Closed(report["good"], report["good_per_second"], latency["p50"], latency["p99"], failures(report))


def failures(report: dict[str, Any]) -> int:
    """Answers other than 200, and requests without one."""
    total: int = report["answered"] - report["by_status"].get("200", 0) + report["errors"]
    return total


def loadgen(aim: Aim, seconds: float, arguments: list[str], cpus: Sequence[int] = ()) -> dict[str, Any]:
    """One run of loadgen, on these CPUs only where some are named, and its report."""
    argv = [*pinned(cpus), str(binary("loadgen")), "--port", str(aim.port), "--path", aim.path]
    argv += ["--bodies", str(aim.bodies)]
    argv += ["--seconds", str(seconds), *arguments]
    report: dict[str, Any] = json.loads(_run(argv, seconds + 120))
    return report


def pinned(cpus: Sequence[int]) -> list[str]:
    """What a command line begins with so that the command runs on these CPUs; nothing for no CPUs."""
    return ["taskset", "--cpu-list", ",".join(map(str, cpus))] if cpus else []


def bare_latency(model: Path, library: Path, bodies: Path, seconds: float) -> dict[str, float]:
    """Latency of the model alone, called in a loop with one row: `p50_ms`, `p99_ms`, `calls`."""
    argv = [str(binary("ceiling")), "--bare", str(seconds), "--model", str(model), "--library", str(library)]
    report: dict[str, float] = json.loads(_run([*argv, "--bodies", str(bodies)], seconds + 60))
    return report


def _run(argv: list[str], limit_s: float) -> str:
    """Run a generator for at most `limit_s`; its standard output."""
    try:
        done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=limit_s)
    except subprocess.CalledProcessError as error:
        raise LoadError(f"{argv[0]}: {error.stderr.strip()[-300:]}") from error
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"{argv[0]} did not end in {limit_s:g} s") from error
    return done.stdout


def build_native() -> None:
    """Build `ceiling` and `loadgen`; cargo's messages go through, a failure raises `CalledProcessError`."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(NATIVE / "target")}
    argv = ["cargo", "build", "--release", "--locked", "--manifest-path", str(NATIVE / "Cargo.toml")]
    subprocess.run(argv, check=True, env=environment)


def binary(name: str) -> Path:
    """The path of one of the native tools."""
    return NATIVE / "target" / "release" / name
