"""Run make targets one after the other, all of them whatever fails, and end with a summary.

Targets joined by `+` run side by side: they mostly wait, for servers and processes, and there is more than one core.

The last line is in the form that test runners print: `1 failed, 840 passed in 312.40s`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# pytest's last line, and one line for each of cargo's test binaries.
PYTEST = re.compile(r"^(?:=+ )?((?:\d+ \w+, )*\d+ \w+) in [\d.]+s")
CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")
# A test that failed: in pytest's short summary with its reason behind it, in cargo's output by its name.
BROKEN = re.compile(r"^(?:(?:FAILED|ERROR) (tests/\S.*)|test (\S+) \.\.\. FAILED)$")


@dataclass
class Step:
    """One make target that was run."""

    name: str
    ok: bool = False
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def read(self, line: str) -> None:
        """Take the counts, or the name of a test that failed, from one line of output, if it has them."""
        line = COLOUR.sub("", line).strip()
        if found := CARGO.match(line):
            self._add(zip(("passed", "failed", "skipped"), map(int, found.groups()), strict=True))
        elif found := PYTEST.match(line):
            self._add((word.rstrip("s"), int(number)) for number, word in map(str.split, found[1].split(", ")))
        elif found := BROKEN.match(line):
            self.broken.append(found[1] or found[2])

    def _add(self, counts: object) -> None:
        for word, number in counts:  # type: ignore[attr-defined]
            self.counts[word] = self.counts.get(word, 0) + number


def run(name: str, mark: str = "") -> Step:
    """Run `make NAME`, pass its output on as it comes behind `mark`, and return what became of it."""
    step = Step(name)
    print(f"\n==== {name}", flush=True)
    started = time.monotonic()
    environment = dict(os.environ)
    if sys.stdout.isatty():
        environment |= {"FORCE_COLOR": "1", "CARGO_TERM_COLOR": "always"}
    command = ["make", "--no-print-directory", name]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{mark}{line}", end="", flush=True)
            step.read(line)
    step.ok = process.returncode == 0
    step.seconds = time.monotonic() - started
    return step


def run_group(group: str) -> list[Step]:
    """Run the targets of `a+b`, side by side."""
    names = group.split("+")
    if len(names) == 1:
        return [run(group)]
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(lambda name: run(name, f"{name}: "), names))


def summary(steps: list[Step], seconds: float) -> str:
    """Return the table of the steps, each with the tests that failed in it, and the closing line."""
    lines = ["", "==== summary"]
    totals = {"failed": 0, "passed": 0}
    for step in steps:
        told = ", ".join(f"{number} {word}" for word, number in step.counts.items() if number)
        lines.append(f"  {'ok    ' if step.ok else 'FAILED'} {step.name:<12} {step.seconds:7.1f} s  {told}")
        lines.extend(f"           {test}" for test in step.broken)
        for word, number in step.counts.items():
            totals[word] = totals.get(word, 0) + number
        if not step.ok and not step.counts.get("failed"):
            totals["failed"] += 1  # a step that is no test run counts as one
        if step.ok and not step.counts:
            totals["passed"] += 1
    told = ", ".join(f"{number} {word}" for word, number in totals.items() if number or word == "passed")
    lines.append(f"{told} in {seconds:.2f}s")
    return "\n".join(lines)


def main(names: list[str]) -> int:
    """Run the groups of targets `names`; return 1 where one failed."""
    started = time.monotonic()
    steps = [step for group in names for step in run_group(group)]
    print(summary(steps, time.monotonic() - started))
    return 0 if all(step.ok for step in steps) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
