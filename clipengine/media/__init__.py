"""Media processing: reading, decoding, encoding and verification. The only package that imports av."""
