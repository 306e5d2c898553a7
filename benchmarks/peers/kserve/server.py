"""A custom KServe model."""

import logging
import os
import uuid

import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class OnnxModel(Model):
    """One session, one onnxruntime call a request."""

    def load(self) -> bool:
        """Load the model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.ready = True
        return self.ready

    async def predict(
        self,
        payload: InferRequest,
        headers: dict[str, str] | None = None,  # noqa: ARG002  (KServe's interface)
        response_headers: dict[str, str] | None = None,  # noqa: ARG002
    ) -> InferResponse:
        """Both outputs of the model."""
        label, probabilities = self.session.run(None, {"input": payload.inputs[0].as_numpy()})
        outputs = []
        for name, datatype, tensor in (("label", "INT64", label), ("probabilities", "FP32", probabilities)):
            output = InferOutput(name=name, shape=list(tensor.shape), datatype=datatype)
            output.set_data_from_numpy(tensor, binary_data=False)
            outputs.append(output)
        return InferResponse(response_id=payload.id or str(uuid.uuid4()), model_name=self.name, infer_outputs=outputs)


if __name__ == "__main__":
    logging.disable(logging.INFO)
    model = OnnxModel("fraud")
    model.load()
    port = int(os.environ["BENCH_PORT"])
    ModelServer(http_port=port, enable_grpc=False, enable_latency_logging=False).start([model])
