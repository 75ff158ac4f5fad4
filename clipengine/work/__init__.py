"""Work of an engine: the queue, the kinds of jobs, their child processes and the upkeep. The only importer of huey."""
