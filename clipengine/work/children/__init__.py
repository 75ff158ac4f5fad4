"""Encoder processes: jobs, supervision and exit causes."""
