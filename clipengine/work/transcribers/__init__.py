"""Transcribers: speech recognition by a model on this machine or by a server."""
