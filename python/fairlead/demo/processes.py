"""Child processes that never outlive the demo by accident."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from fairlead.errors import FairleadError

TERM_SECONDS = 45.0
"""How long a child may take to end after SIGTERM: more than the server's grace for requests in flight."""
KILL_SECONDS = 10.0


def spawn(command: Sequence[str], errors: Path, *, tied: bool, told: bool = False) -> subprocess.Popen[str]:
    """Start `command` in a session of its own, so that Ctrl-C reaches it through us and in order.

    Its stdout is a pipe, its stderr goes to the file `errors`. `tied`: the kernel ends it with SIGTERM if this
    process dies without a word (Linux). `told`: its stdin is a pipe too.
    """
    if tied:
        command = [sys.executable, "-m", "fairlead.tied", str(os.getpid()), *command]
    with errors.open("w", encoding="utf-8") as stderr:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE if told else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[str]) -> int:
    """SIGTERM, then SIGKILL if it does not end; the exit code, negative for a signal."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(TERM_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(KILL_SECONDS)
    for pipe in (process.stdin, process.stdout):
        close(pipe)
    return process.returncode


def first_document(process: subprocess.Popen[str], errors: Path, what: str, seconds: float) -> dict[str, Any]:
    """Return the JSON that a server writes to its stdout once it answers; raises `FairleadError` where none comes."""
    said: list[dict[str, Any]] = []
    reader = threading.Thread(target=_read_document, args=(process, said), daemon=True)
    reader.start()
    reader.join(seconds)
    if not said:
        why = f"exit code {process.poll()}" if process.poll() is not None else f"not ready after {seconds:.0f} s"
        raise FairleadError(f"{what} did not start ({why}): {tail(errors)}")
    return said[0]


def _read_document(process: subprocess.Popen[str], said: list[dict[str, Any]]) -> None:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        try:
            said.append(json.loads(text))
        except json.JSONDecodeError:
            continue
        return
    process.wait()


def close(pipe: IO[str] | None) -> None:
    """Close a pipe that may not be there, whoever is at its other end."""
    if pipe is not None:
        with suppress(BrokenPipeError):
            pipe.close()


def tail(path: Path, lines: int = 5) -> str:
    """The last lines of a file, as one."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return " | ".join(text.strip().splitlines()[-lines:])
