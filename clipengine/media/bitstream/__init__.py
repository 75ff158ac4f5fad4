"""Bitstreams of video codecs: parameter sets and slice headers, read and written bit by bit. Pure."""
