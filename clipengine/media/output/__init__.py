"""Output: encoders, muxer and the verification of the written file."""
