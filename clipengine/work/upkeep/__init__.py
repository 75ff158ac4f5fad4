"""Upkeep of an engine: maintenance, health, metrics and the watched prefixes."""
