"""Signing, addressing and sending webhooks; no database. The only importer of httpcore in the server."""
