"""MLServer with a custom runtime."""
