"""Input: opening a recording, seeking in it and decoding it."""
