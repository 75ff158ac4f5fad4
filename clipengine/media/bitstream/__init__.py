"""Bitstreams of video codecs: parameter sets and frame headers, read and written bit by bit. Pure."""
