"""Plans of clips: frames, segments, sizes and estimates. Pure."""
