"""How frames move: reading, decoding, encoding and verifying media. The only importer of av."""
