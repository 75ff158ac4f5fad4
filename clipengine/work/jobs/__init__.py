"""The kinds of jobs: clips, uploads, probes, fetches, removals and deliveries."""
