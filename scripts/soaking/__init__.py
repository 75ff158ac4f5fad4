"""Parts of `scripts.soak`: the setup, its load, the measurements, and the rounds."""
