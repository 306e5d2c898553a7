"""Run a model in this process: the engines behind `Bundle.predictor`, the worker and the parity check."""

from fairlead.bundle.runtime.load import load_runner
from fairlead.bundle.runtime.runner import Runner

__all__ = ["Runner", "load_runner"]
