"""A job being done: the queue, the runner, the encoder process and the sweep. The only importer of huey."""
