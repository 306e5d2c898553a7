"""A LitServe API with batching, as its documentation shows it."""

import os
from typing import Any

import litserve
import numpy as np
import onnxruntime
from numpy.typing import NDArray

Row = NDArray[np.float32]


class Fraud(litserve.LitAPI):
    """Requests are stacked, run together and taken apart again."""

    def setup(self, device: str) -> None:  # noqa: ARG002  (LitServe's interface)
        """Load the model in the worker process."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"]
        )

    def decode_request(self, request: dict[str, Any]) -> Row:
        """The one row of a request."""
        return np.array(request["inputs"][0]["data"], dtype=np.float32)

    def batch(self, inputs: list[Row]) -> Row:
        """Rows to a matrix."""
        return np.stack(inputs)

    def predict(self, rows: Row) -> list[tuple[int, list[float]]]:
        """Label and probabilities by row."""
        label, probabilities = self.session.run(None, {"input": rows})
        return list(zip(label.tolist(), probabilities.tolist(), strict=True))

    def unbatch(self, output: list[tuple[int, list[float]]]) -> list[tuple[int, list[float]]]:
        """They are apart already."""
        return output

    def encode_response(self, output: tuple[int, list[float]]) -> dict[str, Any]:
        """Both outputs of the model."""
        label, probabilities = output
        return {
            "model_name": "fraud",
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": [1], "data": [label]},
                {"name": "probabilities", "datatype": "FP32", "shape": [1, 2], "data": probabilities},
            ],
        }


if __name__ == "__main__":
    api = Fraud(max_batch_size=64, batch_timeout=0.0, api_path="/v2/models/fraud/infer")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), generate_client_file=False, log_level="warning")
