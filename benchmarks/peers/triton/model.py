"""The Python backend's model: one onnxruntime call on everything that the dynamic batcher put together."""

from __future__ import annotations  # the stub offers the names of the signatures only later

import os
import sys

sys.path.insert(0, os.environ["BENCH_SITE"])  # the backend's stub ignores PYTHONPATH

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One instance with one session."""

    def initialize(self, args: dict[str, str]) -> None:  # noqa: ARG002  (Triton's interface)
        """Load the model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"]
        )

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer all requests of a batch."""
        inputs = [pb_utils.get_input_tensor_by_name(request, "input").as_numpy() for request in requests]
        label, probabilities = self.session.run(None, {"input": np.concatenate(inputs)})
        responses = []
        first = 0
        for rows in map(len, inputs):
            part = slice(first, first + rows)
            tensors = [
                pb_utils.Tensor("label", label[part].reshape(-1, 1)),
                pb_utils.Tensor("probabilities", probabilities[part]),
            ]
            responses.append(pb_utils.InferenceResponse(output_tensors=tensors))
            first += rows
        return responses
