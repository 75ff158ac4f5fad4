"""Copying of packets: the GOPs of a range that a clip takes unchanged."""
