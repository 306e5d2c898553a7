"""The binding of the data plane. Private: use `fairlead serve`, or the modules that wrap it."""

from collections.abc import Callable
from typing import Final

__all__ = [
    "CoreError",
    "__version__",
    "check_document",
    "error_catalogue",
    "init_logging",
    "metric_catalogue",
    "serve",
]

__version__: Final[str]

class CoreError(Exception):
    """The data plane refused or failed; `args` are (code, message)."""

def serve(options: str, started: Callable[[int, int, float], object]) -> bool:
    """Serve until SIGTERM or SIGINT; `started(port, admin_port, seconds)` is called once requests can be answered."""

def init_logging(filter: str) -> None:
    """Structured JSON logs on stderr, at `filter` (`info`, `fairlead=debug`, ...)."""

def check_document(kind: str, json: str) -> str:
    """Parse a document as the data plane does and give it back as canonical JSON; raises `ValueError`."""

def error_catalogue() -> str:
    """`[{"code", "http", "grpc"}]` as JSON."""

def metric_catalogue() -> str:
    """`[{"name", "type", "help", "labels"}]` as JSON."""
