"""LitServe with batching."""
