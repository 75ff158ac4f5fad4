"""Previews: still frames, filmstrips, waveforms and frame times."""
