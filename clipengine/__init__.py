"""clipengine: slices a completed recording into an exact, re-encoded clip, with one call, on one box."""

__version__ = "0.2.0"
