"""Requests to other systems: which addresses are allowed, connections and downloads."""
