"""The parts of `scripts.soak`: a place to break, the load on it, what is watched, and the rounds."""
