"""Texts of recordings and clips: cues, subtitles, captions and chapters. Pure."""
