"""How to unpack it (the wheel is a container for the server's binaries) and start it."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

from benchmarks.harness.processes import Command, free_port
from benchmarks.peers.peer import OIP_READY, InstallError, Peer, Start, environment, run_installer

_VERSION = "0.7.0"


def _install(home: Path, source: Path) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    pip = [sys.executable, "-m", "pip"]
    run_installer([*pip, "download", "-q", "--no-deps", f"nvidia-pytriton=={_VERSION}", "-d", str(home / "wheel")])
    (wheel,) = (home / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home / "unpacked")
    tritonserver = _server(home)
    stub = tritonserver / "python_backend_stubs" / python / "triton_python_backend_stub"
    if not stub.exists():
        raise InstallError(f"the wheel has no Python backend for Python {python}")
    backend = tritonserver / "backends" / "python"
    shutil.copy(stub, backend)
    for program in (backend / stub.name, tritonserver / "bin" / "tritonserver"):
        program.chmod(0o755)
    site = home / "site"
    shutil.rmtree(site, ignore_errors=True)
    run_installer([*pip, "install", "-q", "--target", str(site), "-r", str(source / "requirements.txt")])
    for package in ("numpy", "numpy.libs"):
        link = backend / package
        link.unlink(missing_ok=True)
        link.symlink_to(site / package)


def _server(home: Path) -> Path:
    return home / "unpacked" / "pytriton" / "tritonserver"


def _command(start: Start) -> Command:
    version = start.home / "models" / "fraud" / "1"
    version.mkdir(parents=True, exist_ok=True)
    shutil.copy(start.source / "config.pbtxt", version.parent)
    shutil.copy(start.source / "model.py", version)
    server = _server(start.home)
    libraries = [str(start.home / "unpacked" / "nvidia_pytriton.libs"), os.environ.get("LD_LIBRARY_PATH", "")]
    argv = [str(server / "bin" / "tritonserver"), "--model-repository", str(start.home / "models")]
    argv += ["--backend-directory", str(server / "backends"), "--http-address", "127.0.0.1"]
    argv += ["--http-port", str(start.port), "--allow-grpc", "false", "--metrics-address", "127.0.0.1"]
    argv += ["--metrics-port", str(free_port())]
    variables = environment(start) | {
        "BENCH_SITE": str(start.home / "site"),
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
    }
    return Command(argv, start.port, OIP_READY, variables, start.home)


PEER = Peer("triton", "Triton 2.51, Python backend + onnxruntime", _command, ratio=3.5, install=_install)
