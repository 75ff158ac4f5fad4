"""Audio: timelines, mixing and tracks."""
