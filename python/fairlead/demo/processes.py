"""Child processes that never outlive the demo by accident."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

TERM_SECONDS = 45.0
"""How long a child may take to end after SIGTERM: more than the server's grace for requests in flight."""
KILL_SECONDS = 10.0


def spawn(command: Sequence[str], errors: Path, *, tied: bool) -> subprocess.Popen[str]:
    """Start `command` in a session of its own, so that Ctrl-C reaches it through us and in order.

    Its stdout is a pipe, its stderr goes to the file `errors`. `tied`: the kernel ends it with SIGTERM if this
    process dies without a word (Linux).
    """
    if tied:
        command = [sys.executable, "-m", "fairlead.tied", str(os.getpid()), *command]
    with errors.open("w", encoding="utf-8") as stderr:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
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
    close(process.stdout)
    return process.returncode


def close(pipe: IO[str] | None) -> None:
    """Close a pipe that may not be there."""
    if pipe is not None:
        pipe.close()


def tail(path: Path, lines: int = 5) -> str:
    """The last lines of a file, as one."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return " | ".join(text.strip().splitlines()[-lines:])
