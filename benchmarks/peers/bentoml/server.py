"""A BentoML service with adaptive batching."""

import os
from typing import Annotated

import bentoml
import numpy as np
import onnxruntime
from bentoml.validators import DType, Shape
from numpy.typing import NDArray

Rows = Annotated[NDArray[np.float32], Shape((-1, 30)), DType("float32")]


@bentoml.service(workers=1, traffic={"timeout": 60})
class Fraud:
    """One worker with one session."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"]
        )

    @bentoml.api(batchable=True, max_batch_size=256, max_latency_ms=1000)
    def predict(self, rows: Rows) -> NDArray[np.float32]:
        """The probabilities, [rows, 2]."""
        probabilities: NDArray[np.float32] = self.session.run(["probabilities"], {"input": rows})[0]
        return probabilities
