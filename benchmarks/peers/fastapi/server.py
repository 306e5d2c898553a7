"""A FastAPI service as one writes it by hand: typed request, async handler, one onnxruntime call a request."""

import os
from typing import Any

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])
app = FastAPI()


class Tensor(BaseModel):
    """One input tensor."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class InferenceRequest(BaseModel):
    """An Open Inference Protocol request."""

    inputs: list[Tensor]


@app.get("/v2/health/ready")
async def ready() -> None:
    """Ready once it answers."""


@app.post("/v2/models/fraud/infer")
async def infer(request: InferenceRequest) -> dict[str, Any]:
    """Both outputs of the model."""
    tensor = request.inputs[0]
    rows = np.array(tensor.data, dtype=np.float32).reshape(tensor.shape)
    label, probabilities = session.run(None, {"input": rows})
    return {
        "model_name": "fraud",
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": label.shape, "data": label.tolist()},
            {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": probabilities.shape,
                "data": probabilities.ravel().tolist(),
            },
        ],
    }
