"""Node: fastify and onnxruntime-node."""
