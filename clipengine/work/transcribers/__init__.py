"""Transcribers: what is said in samples, found by a model on this machine or by a server."""
