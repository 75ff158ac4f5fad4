"""Video: deinterlacing, rotation, colour conversion and frame durations."""
