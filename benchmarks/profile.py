"""`python -m benchmarks.profile`: where each microsecond of a request goes, by part of its way through the server.

Needs Linux with perf, and the right to sample the kernel: root, or kernel.perf_event_paranoid <= 1 and kptr_restrict 0.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks import contest
from benchmarks.harness import load
from benchmarks.harness.answers import WrongAnswersError
from benchmarks.harness.layout import BENCHMARKS, CACHE, RESULTS, ROOT
from benchmarks.harness.lock import BusyError, alone
from benchmarks.harness.processes import Server, ServerError, free_port, guard
from benchmarks.harness.report import Report, machine
from benchmarks.model import Workload, prepare
from benchmarks.profiling import page, record, samples
from benchmarks.profiling.parts import part_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONNECTIONS = (contest.MAIN_CONCURRENCY, 1)
SECONDS = 10.0
QUICK_SECONDS = 2.0
WARMUP_S = 2.0
PAGE = BENCHMARKS / "PROFILE.md"
TITLE = "Where a request's CPU goes: OIP JSON, one row of 30 features, 200-tree model, buffered log"
PACKAGES = ("fairlead", "onnxruntime", "lightgbm", "numpy")
_LIBRARY = "_core.abi3.so"
_FAILURES = (
    ServerError,
    WrongAnswersError,
    load.LoadError,
    record.PerfError,
    subprocess.SubprocessError,
    LookupError,
    OSError,
    ValueError,
)


class SampledServer(Server):
    """A server that perf can be pointed at."""

    @property
    def pid(self) -> int:
        """Its first process, which for Fairlead is the only one."""
        return self._process.pid


@dataclass(frozen=True, slots=True)
class Subject:
    """A running server whose code can be named."""

    server: SampledServer
    aim: load.Aim
    library: Path
    """The binding with symbols that it has loaded."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the profile; the exit code."""
    options = _options(arguments)
    talk = Console(stderr=True)
    try:
        with alone():
            return _run(options, talk)
    except BusyError as error:
        talk.print(f"error: {error}", soft_wrap=True)
        return 1


def _run(options: argparse.Namespace, talk: Console) -> int:
    guard()
    report = Report(TITLE)
    try:
        record.ensure_perf()
        load.build_native()
        library = build()
        workload = prepare()
        profiles = measure(library, workload, options.seconds)
    except _FAILURES as error:
        talk.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    finally:
        shutil.rmtree(contest.LOGS / contest.OURS, ignore_errors=True)
    out = Console()
    (out if out.is_terminal else Console(width=120)).print(page.table(profiles, TITLE))
    if options.quick:
        return 0
    for profile in profiles:
        for row in profile.rows():
            report.add(row)
    report.write(RESULTS / "profile.json", PACKAGES, {"perf": record.version()})
    PAGE.write_text(page.rewrite(PAGE.read_text(), page.markdown(profiles, _about(report))))
    talk.print(f"written: profile.json, {PAGE.name}", markup=False, highlight=False)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short look: prints the table and writes nothing")
    options = parser.parse_args(arguments)
    options.seconds = QUICK_SECONDS if options.quick else SECONDS
    return options


def build() -> Path:
    """Build the binding as released, with symbols, and give its path; raises `CalledProcessError`."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", CACHE / "profiling")).resolve()
    argv = ["cargo", "build", "--profile", "profiling", "--locked", "--package", "fairlead-python"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "PYO3_PYTHON": sys.executable}
    subprocess.run([*argv, "--features", "pyo3/extension-module"], check=True, cwd=ROOT, env=environment)
    return target / "profiling" / "lib_core.so"


def shadow(library: Path, folder: Path) -> Path:
    """Make in `folder` a package `fairlead` that is the installed one but for the binding; the binding's path in it."""
    spec = find_spec("fairlead")
    if spec is None or spec.origin is None:
        raise LookupError("the fairlead package is not installed")
    package = folder / "fairlead"
    package.mkdir()
    for entry in Path(spec.origin).parent.iterdir():
        if not entry.name.startswith(("_core.abi3", "__pycache__")):
            (package / entry.name).symlink_to(entry)
    binding = package / _LIBRARY
    shutil.copy2(library, binding)
    return binding


def measure(library: Path, workload: Workload, seconds: float) -> list[page.Profile]:
    """Serve the bundle with `library` as the binding, check its answers, and profile it at each concurrency."""
    with tempfile.TemporaryDirectory(prefix="fairlead-profile-") as name:
        folder = Path(name).resolve()
        binding = shadow(library, folder)
        contestant = contest.ours(workload)
        command = contestant.command(free_port())
        command = replace(command, environment={**command.environment, "PYTHONPATH": str(folder)})
        with SampledServer(command, CACHE / "output" / "profile.log") as server:
            contestant.check(server)
            subject = Subject(server, contestant.aim(server.command.port, contestant.single), binding)
            return [_profile(subject, connections, seconds, folder) for connections in CONNECTIONS]


def _profile(subject: Subject, connections: int, seconds: float, folder: Path) -> page.Profile:
    _drive(subject, connections, WARMUP_S)
    before = subject.server.usage()
    closed = _drive(subject, connections, seconds)
    spent = subject.server.usage().cpu_s - before.cpu_s
    recorded = folder / f"{connections}.perf"
    with record.sampling(subject.server.pid, recorded):
        before = subject.server.usage()
        _drive(subject, connections, seconds)
        sampled_s = subject.server.usage().cpu_s - before.cpu_s
    found = _samples(subject, recorded)
    return page.Profile(
        connections=connections,
        per_second=closed.per_second,
        p50_us=1e3 * closed.p50_ms,
        cpu_us=1e6 * spent / closed.answered,
        samples=len(found),
        seen=len(found) / record.FREQUENCY / max(sampled_s, 1e-9),
        parts=samples.shares(Counter(str(part_of(sample)) for sample in found)),
        threads=samples.shares(Counter(_kind(sample.thread) for sample in found)),
        functions=samples.shares(Counter(f"{part_of(sample)}: {sample.leaf}" for sample in found)),
    )


def _drive(subject: Subject, connections: int, seconds: float) -> load.Closed:
    closed = load.loadgen_closed(subject.aim, connections, seconds)
    if closed.failures or not closed.answered:
        raise load.LoadError(f"{closed.failures} of the requests at c={connections} failed, {closed.answered} did not")
    return closed


def _samples(subject: Subject, recorded: Path) -> list[samples.Sample]:
    found = list(samples.parse(record.script(recorded)))
    if not any(sample.kernel for sample in found):
        raise record.PerfError("the kernel cannot be sampled: run this as root, or allow it (see --help)")
    return samples.unfold(found, subject.library)


def _kind(thread: str) -> str:
    """`io-0` and `io-1` are one kind of thread."""
    return thread.rstrip("0123456789").rstrip("-") or thread


def _about(report: Report) -> str:
    computer: Mapping[str, object] = machine()
    return (
        f"{computer['processor']}, {computer['cores']} cores, kernel {computer['kernel']}; "
        f"load before: {report.load_before:g}. {SECONDS:g} s for each column."
    )


if __name__ == "__main__":
    sys.exit(main())
