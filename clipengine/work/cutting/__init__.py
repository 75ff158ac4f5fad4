"""Making of a clip's file from its parts, the same for `serve` and `clipengine cut`."""
