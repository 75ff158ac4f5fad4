"""The HTTP server of `serve` and `worker`: protocol limits, shutdown, process, logs and traces."""
