"""Triton Inference Server, out of the nvidia-pytriton wheel."""
