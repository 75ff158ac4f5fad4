"""Seeking: reading a recording from a keyframe before a clip, in its file or in its pieces."""
