"""Sample a server with perf and say what its CPU time goes into."""
