"""What several tests need: servers that are real, and media that can be read back."""
