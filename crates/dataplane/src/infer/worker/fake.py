# noqa: INP001 - a script that the Rust tests pass to an interpreter, of no package
"""A worker for tests: speaks the frame protocol with the standard library alone and misbehaves on request.

`argv[1]` is how it starts, `argv[2]` a file for what it has to tell the test. The one input `x` (FP32, one column) is
echoed; its first value may ask for something else (see ACTIONS).
"""

import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

START, NOTES = sys.argv[1], Path(sys.argv[2])


def note(text: object) -> None:
    """Tell the test."""
    with NOTES.open("a") as file:
        file.write(f"{text}\n")


def send(header: dict[str, Any], body: bytes = b"") -> None:
    """Write one frame."""
    text = json.dumps(header).encode()
    sys.stdout.buffer.write(struct.pack("<II", len(text), len(body)) + text + body)
    sys.stdout.buffer.flush()


def receive() -> tuple[dict[str, Any], bytes]:
    """Read one frame; the end of input ends the process."""
    prefix = sys.stdin.buffer.read(8)
    if len(prefix) < 8:
        note("end of input")
        sys.exit(0)
    header, body = struct.unpack("<II", prefix)
    return json.loads(sys.stdin.buffer.read(header)), sys.stdin.buffer.read(body)


def hang() -> NoReturn:
    """Never answer."""
    while True:
        time.sleep(600)


def die(code: int) -> NoReturn:
    """End at once, after a line that is far too long and some last words."""
    sys.stderr.write("x" * 10_000 + "\nMemory: all of it is gone\n")
    sys.stderr.flush()
    os._exit(code)


def child() -> None:
    """Start a process and tell its id."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note(process.pid)


def child_then_hang() -> NoReturn:
    """Start a process, then never answer."""
    child()
    hang()


def child_then_die() -> NoReturn:
    """Start a process, then end."""
    child()
    die(5)


def garbage() -> NoReturn:
    """Write what is not a frame."""
    sys.stdout.write("Epoch 1/10: loss 0.3\n")
    sys.stdout.flush()
    hang()


def half_an_answer() -> NoReturn:
    """End in the middle of a frame."""
    sys.stdout.buffer.write(struct.pack("<II", 100, 0) + b"{")
    sys.stdout.buffer.flush()
    os._exit(0)


ACTIONS = {
    -2.0: lambda: die(3),
    -3.0: hang,
    -4.0: garbage,
    -5.0: child_then_hang,
    -6.0: child_then_die,
    -7.0: half_an_answer,
}


def answer(request: dict[str, Any], body: bytes) -> None:
    """Echo the request, or do what its first value asks for."""
    (wish,) = struct.unpack("<f", body[:4])
    number = request["id"] + (1 if wish == -8.0 else 0)
    if wish == -1.0:
        send({"id": number, "error": "ValueError: no negative amounts"})
        return
    if wish in ACTIONS:
        ACTIONS[wish]()
    if wish == -9.0:
        body *= 2
    send({"id": number, "outputs": [{**request["inputs"][0], "bytes": len(body)}]}, body)


def start() -> None:
    """Say that it is ready, or do what `argv[1]` asks for."""
    note(f"start {time.monotonic()}")
    if START == "crash":
        die(1)
    if START == "once" and NOTES.read_text().count("start") > 1:
        die(1)
    if START == "silent":
        child_then_hang()
    if START == "noisy":
        sys.stdout.write("Loading the model\n")
        sys.stdout.flush()
    if START.startswith("refuse:"):
        send({"error": "the bundle needs a pickle", "code": START.removeprefix("refuse:")})
        sys.exit(1)
    if START == "slow":
        time.sleep(0.3)
    send({"ready": True, "pid": os.getpid()})


start()
while True:
    answer(*receive())
