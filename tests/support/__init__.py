"""Shared test support: real servers, and readers for media."""
