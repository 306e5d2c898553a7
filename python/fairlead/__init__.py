"""Fairlead takes a trained model from prototype to production and keeps it honest there.

Importing this package reads nothing and starts nothing: each name below is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fairlead.errors import BadInputError, BundleError, EndpointError, FairleadError

if TYPE_CHECKING:
    from fairlead.bundle import open_bundle as open_bundle
    from fairlead.bundle import pack_model as pack
    from fairlead.client import Client as Client

    __version__: str

__all__ = [
    "BadInputError",
    "BundleError",
    "Client",
    "EndpointError",
    "FairleadError",
    "__version__",
    "open_bundle",
    "pack",
]

_LAZY = {
    "Client": ("fairlead.client", "Client"),
    "open_bundle": ("fairlead.bundle", "open_bundle"),
    "pack": ("fairlead.bundle", "pack_model"),
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("fairlead")
    if name not in _LAZY:
        raise AttributeError(f"module 'fairlead' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
