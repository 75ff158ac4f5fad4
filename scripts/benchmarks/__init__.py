"""The sections of `make bench`, one module each. Each has `figures(bench)`; see `benchmarks.figures`."""
