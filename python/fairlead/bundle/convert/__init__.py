"""Models to ONNX graphs: the converters of the field, and what they leave to be put right."""
