"""Rules, by which the engine makes clips of complete recordings without a request. Pure."""
