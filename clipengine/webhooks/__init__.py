"""Signing and sending webhooks; no database. The only importer of httpx in the server."""
