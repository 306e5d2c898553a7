"""ONNX graphs in ONNX Runtime, with the options the data plane uses."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.bundle.sample import Array
from fairlead.bundle.tensors import Tensors
from fairlead.schema.bundle import OnnxEngine

_LEVELS = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_ONLY_FATAL = 4


class OnnxRunner:
    """One session over a graph. Raises onnxruntime's own errors where the graph cannot be loaded or run."""

    def __init__(self, graph: bytes, engine: OnnxEngine) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = engine.intra_op_threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = engine.arena
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, _LEVELS[engine.graph_optimization])
        options.log_severity_level = _ONLY_FATAL  # what goes wrong is raised; the rest is noise on stderr
        self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> Tensors:
        """Return every output of the graph by name."""
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))
