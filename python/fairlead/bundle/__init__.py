"""Build, hash, open, verify and run a bundle."""

from fairlead.bundle.opened import Bundle, open_bundle
from fairlead.bundle.packing import PackResult, pack, pack_model
from fairlead.bundle.predictor import Answer, Predictor
from fairlead.bundle.request import PackRequest
from fairlead.bundle.verify import Finding, verify

__all__ = [
    "Answer",
    "Bundle",
    "Finding",
    "PackRequest",
    "PackResult",
    "Predictor",
    "open_bundle",
    "pack",
    "pack_model",
    "verify",
]
