"""Rules: which clips the engine makes of its own accord when a recording is complete. Pure."""
