// fastify with its schema-compiled answer and one onnxruntime call a request.
import Fastify from "fastify";
import ort from "onnxruntime-node";

const session = await ort.InferenceSession.create(process.env.BENCH_MODEL, { intraOpNumThreads: 1 });
const app = Fastify({ logger: false });

const tensor = {
  type: "object",
  properties: {
    name: { type: "string" },
    datatype: { type: "string" },
    shape: { type: "array", items: { type: "integer" } },
    data: { type: "array", items: { type: "number" } },
  },
};
const response = {
  200: {
    type: "object",
    properties: { model_name: { type: "string" }, outputs: { type: "array", items: tensor } },
  },
};

app.get("/v2/health/ready", async () => ({}));

app.post("/v2/models/fraud/infer", { schema: { response } }, async (request) => {
  const { shape, data } = request.body.inputs[0];
  const input = new ort.Tensor("float32", Float32Array.from(data), shape);
  const { label, probabilities } = await session.run({ input });
  return {
    model_name: "fraud",
    outputs: [
      { name: "label", datatype: "INT64", shape: label.dims, data: Array.from(label.data, Number) },
      { name: "probabilities", datatype: "FP32", shape: probabilities.dims, data: Array.from(probabilities.data) },
    ],
  };
});

await app.listen({ host: "127.0.0.1", port: Number(process.env.BENCH_PORT) });
