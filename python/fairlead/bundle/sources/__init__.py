"""Where a model comes from: each kind of SOURCE tells what it takes, runs, converts and saves."""

from fairlead.bundle.sources.load import load_source
from fairlead.bundle.sources.source import Layout, ModelFacts, Origin, SavedModel, Source

__all__ = ["Layout", "ModelFacts", "Origin", "SavedModel", "Source", "load_source"]
