"""Decoding: frames and samples of a range, at given times, and of a timelapse."""
