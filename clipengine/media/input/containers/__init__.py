"""Container formats: the bytes of a recording, its headers and its streams."""
