"""The command line: `clipengine`."""
