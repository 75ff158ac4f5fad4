"""What `make bench` measures, one module for each section. Each has `figures(bench)`; see `benchmarks.figures`."""
