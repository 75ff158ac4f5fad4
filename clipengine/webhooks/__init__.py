"""Signing and sending of webhooks, and the rules for their URLs. No database. Imports httpcore."""
