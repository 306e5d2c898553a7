"""Somebody else's servers, in an environment of their own (`servers.txt`): an MLflow server, and an S3 server."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.serverkit.waiting import until

REQUIREMENTS = Path(__file__).parent / "servers.txt"
HOME = Path(sys.prefix) / "servers"
"""Within our own environment, so that it dies with it."""
INSTALL_SECONDS = 600
START_SECONDS = 60.0


def program(name: str) -> Path:
    """Return a program of the environment, which is made when it is first asked for: by `make`, before the tests do."""
    stamp = HOME / "servers.txt"
    with HOME.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != REQUIREMENTS.read_text():
            for command in (
                # Cleared: an installation that was killed leaves packages that look whole.
                [sys.executable, "-m", "venv", "--clear", str(HOME)],
                [str(HOME / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)],
            ):
                done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
                assert done.returncode == 0, done.stderr
            stamp.write_text(REQUIREMENTS.read_text())
    return HOME / "bin" / name


@contextmanager
def running(folder: Path, command: list[str], url: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a server until the end of the block; its words go to a file in `folder`."""
    words = folder / "server.log"
    with words.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def answers() -> bool:
        assert process.poll() is None, f"{command[0]} ended:\n{words.read_text(errors='replace')}"
        try:
            return httpx.get(url, trust_env=False, timeout=5.0).status_code < 500
        except httpx.HTTPError:
            return False

    try:
        until(answers, f"{command[0]} answers", seconds=START_SECONDS, every=0.1)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run `mlflow server` on SQLite; gives its address."""
    port = free_port()
    store = f"sqlite:///{folder / 'mlflow.db'}"
    command = [str(program("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--default-artifact-root", str(folder / "artifacts")]
    # Its jobs (evaluation) need pandas and more; a registry does not need them.
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    url = f"http://127.0.0.1:{port}"
    with running(folder, command, f"{url}/health", environment):
        yield url


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Run an S3 server that forgets everything at its end; gives its address."""
    port = free_port()
    command = [str(program("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    url = f"http://127.0.0.1:{port}"
    with running(folder, command, url, {}):
        yield url


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
